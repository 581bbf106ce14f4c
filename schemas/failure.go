package schemas

// Failure categories: our names for what providers express in codes. They are
// the keys of Counts.Failures and of `failures` in ClickHouse.
const (
	FailCapped           = "marketing_cap"     // the provider limits marketing per person
	FailExperiment       = "experiment"        // the person is in the provider's holdout
	FailRecipientStopped = "recipient_stopped" // the person had opted out before
	FailUndeliverable    = "undeliverable"     // not on the channel, old app, terms not accepted
	FailReengagement     = "re_engagement"     // outside the service window
	FailThrottled        = "throttled"         // rate, pair or spam limit
	FailTemplate         = "template"          // missing, paused, disabled, or not what was sent
	FailAccount          = "account"           // account or number locked or restricted
	FailPolicy           = "policy"            // refused by policy or country
	FailPayment          = "payment"           // payment or eligibility problem
	FailMedia            = "media"             // unsupported type, media up- or download
	FailRequest          = "request"           // a wrong or missing parameter, or sent to oneself
	FailProvider         = "provider"          // the provider's own fault
	FailOther            = "other"             // a code we do not know
)

// WithheldCategories are the categories whose reason is neither the sender's
// nor the network's doing; the view v_messages names the same ones.
func WithheldCategories() []string {
	return []string{FailCapped, FailExperiment, FailRecipientStopped}
}

// Withheld reports whether a failure of this category counts as withheld.
func Withheld(category string) bool {
	return category == FailCapped || category == FailExperiment || category == FailRecipientStopped
}
