package rollup

import (
	"cmp"

	"github.com/bluetick/bluetick/schemas"
)

// seriesOf appends to dst the series of each grouping that a pane with this
// tuple belongs to. A message without a campaign is in the series of the empty
// campaign (unattributed), and one without a sender in that of the empty sender.
// A message without a variant takes part in no comparison of variants.
func seriesOf(dst []schemas.Series, groupings []schemas.Grouping, t *schemas.Tuple) []schemas.Series {
	for _, g := range groupings {
		s := schemas.Series{Account: t.Account, Grouping: g}
		switch g {
		case schemas.GroupAccount:
		case schemas.GroupChannel:
			s.Channel = t.Channel
		case schemas.GroupSender:
			s.Channel, s.Sender = t.Channel, t.Sender
		case schemas.GroupCampaign:
			s.Channel, s.Campaign = t.Channel, t.Campaign
		case schemas.GroupCampaignVariant:
			if t.Variant == "" {
				continue
			}
			s.Channel, s.Campaign, s.Variant = t.Channel, t.Campaign, t.Variant
		}
		dst = append(dst, s)
	}
	return dst
}

// compareSeries is the key order of rates.
func compareSeries(a, b schemas.Series) int {
	return cmp.Or(
		cmp.Compare(a.Account, b.Account), cmp.Compare(a.Grouping, b.Grouping),
		cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Sender, b.Sender),
		cmp.Compare(a.Campaign, b.Campaign), cmp.Compare(a.Variant, b.Variant),
	)
}
