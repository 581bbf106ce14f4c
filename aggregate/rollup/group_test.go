package rollup

import (
	"cmp"
	"slices"
	"testing"

	"github.com/bluetick/bluetick/schemas"
)

func TestSeriesOf(t *testing.T) {
	t.Parallel()
	const (
		acc = "bakery"
		ch  = schemas.ChannelWhatsApp
	)
	all := Default().Groupings
	account := schemas.Series{Account: acc, Grouping: schemas.GroupAccount}
	channel := schemas.Series{Account: acc, Grouping: schemas.GroupChannel, Channel: ch}
	for _, c := range []struct {
		name      string
		groupings []schemas.Grouping
		tuple     schemas.Tuple
		want      []schemas.Series
	}{
		{
			"every column set", all,
			schemas.Tuple{
				Account: acc, Channel: ch, Sender: "desk", Country: "NL", Campaign: "rye", Template: "t",
				Variant: "b", Segment: "vip",
			},
			[]schemas.Series{
				account, channel,
				{Account: acc, Grouping: schemas.GroupSender, Channel: ch, Sender: "desk"},
				{Account: acc, Grouping: schemas.GroupCampaign, Channel: ch, Campaign: "rye"},
				{Account: acc, Grouping: schemas.GroupCampaignVariant, Channel: ch, Campaign: "rye", Variant: "b"},
			},
		},
		{
			"unattributed is a series of its own, a missing variant is none", all,
			schemas.Tuple{Account: acc, Channel: ch},
			[]schemas.Series{
				account, channel,
				{Account: acc, Grouping: schemas.GroupSender, Channel: ch},
				{Account: acc, Grouping: schemas.GroupCampaign, Channel: ch},
			},
		},
		{
			"a variant without a campaign",
			[]schemas.Grouping{schemas.GroupCampaignVariant},
			schemas.Tuple{Account: acc, Channel: ch, Variant: "b"},
			[]schemas.Series{{Account: acc, Grouping: schemas.GroupCampaignVariant, Channel: ch, Variant: "b"}},
		},
		{
			"only what is configured",
			[]schemas.Grouping{schemas.GroupChannel},
			schemas.Tuple{Account: acc, Channel: ch, Campaign: "rye"},
			[]schemas.Series{channel},
		},
	} {
		if got := seriesOf(nil, c.groupings, &c.tuple); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

func TestCompareSeriesOrdersByEveryColumn(t *testing.T) {
	t.Parallel()
	ordered := []schemas.Series{
		{Account: "a", Grouping: schemas.GroupAccount},
		{Account: "a", Grouping: schemas.GroupCampaign, Channel: "sms", Campaign: "z"},
		{Account: "a", Grouping: schemas.GroupCampaign, Channel: "whatsapp", Campaign: "a"},
		{Account: "a", Grouping: schemas.GroupCampaign, Channel: "whatsapp", Campaign: "b"},
		{Account: "a", Grouping: schemas.GroupCampaignVariant, Channel: "whatsapp", Campaign: "b", Variant: "1"},
		{Account: "a", Grouping: schemas.GroupCampaignVariant, Channel: "whatsapp", Campaign: "b", Variant: "2"},
		{Account: "a", Grouping: schemas.GroupSender, Channel: "whatsapp", Sender: "1"},
		{Account: "a", Grouping: schemas.GroupSender, Channel: "whatsapp", Sender: "2"},
		{Account: "b", Grouping: schemas.GroupAccount},
	}
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := compareSeries(a, b), cmp.Compare(i, j); got != want {
				t.Errorf("compare %+v with %+v: %d, want %d", a, b, got, want)
			}
		}
	}
}
