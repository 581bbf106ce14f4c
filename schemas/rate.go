package schemas

// Grouping names the columns a series is grouped by within its account.
type Grouping string

// The groupings. Every one but GroupAccount is within a channel.
const (
	GroupAccount         Grouping = "account"
	GroupChannel         Grouping = "channel"
	GroupSender          Grouping = "sender"
	GroupCampaign        Grouping = "campaign"
	GroupCampaignVariant Grouping = "campaign_variant"
)

// Series is one line of rates: a grouping with its columns, ” where the
// grouping has no such column.
type Series struct {
	Account  string
	Grouping Grouping
	Channel  Channel
	Sender   string
	Campaign string
	Variant  string
}

// Key is the series' identity within (account, grouping).
func (s Series) Key() Key { return SeriesKey(s.Channel, s.Sender, s.Campaign, s.Variant) }

// Totals are plain counts of unique messages, at one age.
type Totals struct {
	Sent      int64
	Delivered int64
	Opened    int64
	Read      int64
	Clicked   int64
	Replied   int64
	Engaged   int64
	OptedOut  int64
	Failed    int64
	Withheld  int64
}

// Rate is what was known at At about the cohorts of one series with a send
// minute in [At-Age-Window, At-Age), with their outcomes up to Age. It is
// emitted once and never revised.
type Rate struct {
	Epoch  uint32
	Series Series
	// Window and Age are in seconds. Age 0 means "so far".
	Window uint32
	Age    uint32
	// At is a whole minute in seconds since the epoch.
	At int64
	// Version is the offset in `panes` of the Progress record that closed At.
	Version int64
	// DClock is the roll-up's D-clock at that record.
	DClock Instant
	Totals Totals
}
