package schemas

import (
	"strings"
	"testing"
)

func TestLoadBenchmarks(t *testing.T) {
	rows, err := LoadBenchmarks()
	if err != nil {
		t.Fatal(err)
	}
	type name struct {
		metric, tier, source string
		channel              Channel
		age                  uint32
	}
	seen := map[name]Benchmark{}
	for _, b := range rows {
		n := name{b.Metric, b.Tier, b.Source, b.Channel, b.Age}
		if _, twice := seen[n]; twice {
			t.Errorf("%+v is there twice", n)
		}
		seen[n] = b
	}
	for n, want := range map[name]float64{
		{"open_rate", "optimised", "Bird guide", ChannelWhatsApp, 86400}:           0.75,
		{"ctr", "best", "Bird guide", ChannelWhatsApp, 86400}:                      0.80,
		{"eligible_delivery_rate", "page", "bluetick", "", 1800}:                   0.60,
		{"eligible_delivery_rate", "warn", "bluetick", "", 86400}:                  0.95,
		{"opt_out_rate", "page", "bluetick", "", HorizonSeconds}:                   0.03,
		{"unsubscribe_rate", "claim", "way2mail", "email", 86400}:                  0.005, // lower is better: the high end
		{"delivery_rate", "claim", "fyno.io, banks altogether", "whatsapp", 86400}: 0.70,
	} {
		if got := seen[n]; got.Value != want || got.Low > got.Value || got.High < got.Value {
			t.Errorf("%+v: %+v, want %v", n, got, want)
		}
	}
}

func TestParseBenchmarksRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown field": {"- {metric: m, tier: t, value: 1, source: s, kind: guide, colour: red}", "colour"},
		"no source":     {"- {metric: m, tier: t, value: 1, kind: guide}", "must be named"},
		"no value":      {"- {metric: m, tier: t, source: s, kind: guide}", "range"},
		"empty range":   {"- {metric: m, tier: t, low: 2, high: 1, source: s, kind: guide}", "range"},
		"unknown kind":  {"- {metric: m, tier: t, value: 1, source: s, kind: rumour}", "rumour"},
		"no list":       {"metric: m", "parse benchmarks"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseBenchmarks([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
