package schemas

import "testing"

func TestTopicIn(t *testing.T) {
	for _, c := range []struct {
		topic string
		epoch uint32
		want  string
	}{
		{TopicPanes, 0, "bluetick.panes"},
		{TopicPanes, 1, "bluetick.panes"},
		{TopicPanes, 2, "bluetick.panes.2"},
		{TopicRates, 17, "bluetick.rates.17"},
		{TopicAlerts, 2, "bluetick.alerts.2"},
		{TopicEvents, 2, "bluetick.events"},
		{TopicDeadLetters, 2, "bluetick.dead-letters"},
		{"", 2, ""},
	} {
		got := TopicIn(c.topic, c.epoch)
		if got != c.want {
			t.Errorf("%s in epoch %d is %s, want %s", c.topic, c.epoch, got, c.want)
		}
		if base := BaseTopic(got); base != c.topic {
			t.Errorf("%s is of %s, want %s", got, base, c.topic)
		}
	}
	if got := BaseTopic("other.panes.2"); got != "other.panes.2" {
		t.Errorf("a foreign topic is of %s", got)
	}
	if all := TopicsIn(4, 3); all[1].Name != "bluetick.panes.3" || all[0].Name != TopicEvents || all[1].Retention != Topics(4)[1].Retention {
		t.Errorf("topics of epoch 3: %+v", all)
	}
}
