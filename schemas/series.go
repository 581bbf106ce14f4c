package schemas

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bluetick/bluetick/schemas/pb"
)

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

// Groupings are all of them, in the order in which rates list them.
func Groupings() []Grouping {
	return []Grouping{GroupAccount, GroupChannel, GroupSender, GroupCampaign, GroupCampaignVariant}
}

// Valid reports whether g is one of the groupings.
func (g Grouping) Valid() bool { return slices.Contains(Groupings(), g) }

// Series is one line of rates: a grouping with its columns, empty where the
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

func seriesOut(s *Series) *pb.Series {
	return &pb.Series{
		Account: text(s.Account), Grouping: text(string(s.Grouping)), Channel: text(string(s.Channel)),
		Sender: text(s.Sender), Campaign: text(s.Campaign), Variant: text(s.Variant),
	}
}

func seriesIn(m *pb.Series) (Series, error) {
	s := Series{m.GetAccount(), Grouping(m.GetGrouping()), Channel(m.GetChannel()), m.GetSender(), m.GetCampaign(), m.GetVariant()}
	if !s.Grouping.Valid() {
		return Series{}, fmt.Errorf("unknown grouping %q", s.Grouping)
	}
	if s.Account == "" {
		return Series{}, errors.New("no account")
	}
	return s, nil
}
