package ingest

import (
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/bluetick/bluetick/internal/kafkatest"
	"github.com/bluetick/bluetick/schemas"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// counter is the sum of a counter over its labels.
func counter(t testing.TB, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}

func TestConfigMistakes(t *testing.T) {
	good := testConfig()
	if err := good.validateAll(testProviders()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		change  func(*Config)
		problem string
	}{
		{"address", func(c *Config) { c.Listen = "nowhere" }, "host:port"},
		{"body too small", func(c *Config) { c.MaxBodyBytes = 1 }, "max_body_bytes: 1 is outside 1024"},
		{"body too large for Kafka", func(c *Config) { c.MaxBodyBytes = 5 << 20 }, "max_body_bytes"},
		{"an empty account", func(c *Config) { c.Sources[0].Accounts = []string{"1", ""} }, "accounts: one is empty"},
		{"nobody at a time", func(c *Config) { c.MaxConcurrent = 0 }, "max_concurrent"},
		{"no hurry", func(c *Config) { c.MinBodyRate = 0 }, "min_body_rate: 0, want at least 1"},
		{"no room for a body", func(c *Config) { c.MaxBytesInFlight = 2*c.MaxBodyBytes - 1 }, "max_bytes_in_flight: 8388607, want at least 8388608"},
		{"no header timeout", func(c *Config) { c.HeaderTimeout = 0 }, "header timeout"},
		{"no read timeout", func(c *Config) { c.ReadTimeout = 0 }, "read timeout"},
		{"no idle timeout", func(c *Config) { c.IdleTimeout = -1 }, "idle timeout"},
		{"impatient", func(c *Config) { c.ProduceTimeout = time.Millisecond }, "produce_timeout"},
		{"short pepper", func(c *Config) { c.Pepper = "salt" }, "pepper"},
		{"a pepper of one letter", func(c *Config) { c.Pepper = strings.Repeat("a", 64) }, "pepper: too weak"},
		{"no values", func(c *Config) { c.Values.Segment = 0 }, "values of segment"},
		{"name", func(c *Config) { c.Sources[0].Name = "../x" }, "name"},
		{"provider", func(c *Config) { c.Sources[0].Provider = "pigeon" }, "pigeon"},
		{"what another provider refuses", func(c *Config) { c.Sources[0].Provider = "postal" }, "verify token: postal has no handshake"},
		{"no secret", func(c *Config) { c.Sources[0].Secrets = nil }, "secrets"},
		{"empty secret", func(c *Config) { c.Sources[0].Secrets = []string{""} }, "secrets"},
		{"pattern", func(c *Config) { c.Sources[0].CampaignPattern = "(" }, "campaign_pattern"},
		{"words", func(c *Config) { c.Sources[0].OptOut.Remove = []string{"xyzzy"} }, "opt_out, opt_in: opt-out word"},
		{"no age", func(c *Config) { c.Sources[0].MaxEventAge = 0 }, "max_event_age: 0s, want up to 240h"},
		{"long age", func(c *Config) { c.Sources[0].MaxEventAge = 11 * 24 * time.Hour }, "max_event_age"},
		{"twice", func(c *Config) { c.Sources = append(c.Sources, c.Sources[0]) }, "given twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := testConfig()
			c.change(&bad)
			if err := bad.validateAll(testProviders()); err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("got %v", err)
			}
			if _, err := New(bad, Deps{Log: quiet(), Now: testNow, Producer: accepting{}, Providers: testProviders(), Registerer: prometheus.NewRegistry()}); err == nil {
				t.Error("a server of it")
			}
		})
	}
	all := Config{Sources: []Source{{}}}
	if n := strings.Count(all.validateAll(testProviders()).Error(), "\n"); n < 12 {
		t.Errorf("%d mistakes told, want all of them: %v", n, all.validateAll(testProviders()))
	}
}

// TestNothingPersonalOutside (G4): whatever is posted, signed or not, neither
// the log nor the metrics nor an answer says anything about the person.
func TestNothingPersonalOutside(t *testing.T) {
	k := cluster(t)
	c := testConfig()
	c.ProduceTimeout = 500 * time.Millisecond
	d := open(t, c, producer(t, c.ProduceTimeout, k.ListenAddrs()))
	bodies := [][]byte{[]byte(`{"entry":[{"id":"1","changes":[{"field":"messages","value":{"messages":[{"id":"` + testWamid + `","from":"` + testPhone + `","type":"text","text":{"body":"` + testText + `"}}]}} `)}
	paths, err := filepath.Glob("provider/meta/testdata/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("find fixtures: %v", err)
	}
	for _, p := range paths {
		bodies = append(bodies, fixture(t, strings.TrimSuffix(filepath.Base(p), ".json")))
	}
	var seen strings.Builder
	for _, body := range bodies {
		for _, secret := range []string{testSecret, "another"} {
			seen.WriteString(d.do(t, http.MethodPost, "/v1/webhooks/meta/main", body, signature(secret, body)).text)
		}
	}
	k.Close()
	seen.WriteString(d.post(t, bodies[0]).text)
	seen.WriteString(d.log.String())
	families, err := d.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		seen.WriteString((*dto.MetricFamily)(f).String())
	}
	for _, secret := range []string{testPhone, testPhone[2:], "SU5WRU5URUQ", "7700INVENTED", testText, testSecret, "Nadia"} {
		if strings.Contains(seen.String(), secret) {
			t.Errorf("%q is told", secret)
		}
	}
}

func TestMetrics(t *testing.T) {
	d := open(t, testConfig(), accepting{})
	d.post(t, fixture(t, "mixed"))
	d.post(t, fixture(t, "status_in_the_future"))
	d.do(t, http.MethodPost, "/v1/webhooks/meta/nowhere", nil, nil)
	for name, want := range map[string]float64{
		"bluetick_ingest_requests_total":        3,
		"bluetick_ingest_events_total":          7,
		"bluetick_ingest_dead_letters_total":    3,
		"bluetick_ingest_items_total":           1,
		"bluetick_ingest_values_exceeded_total": 0,
	} {
		if got := counter(t, d.registry, name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
}

func TestValues(t *testing.T) {
	var told []string
	v := newValues(ValueLimits{Campaign: 2, Template: 1, Variant: 1, Segment: 1, Language: 1, Tuples: 100})
	tell := func(_ string, d dimension, limit int, first bool) {
		told = append(told, fmt.Sprintf("%s %d %v", d, limit, first))
	}
	day := schemas.InstantOf(testNow())
	campaign := func(names ...string) []schemas.Event {
		events := make([]schemas.Event, len(names))
		for i, n := range names {
			events[i].Dimensions.Campaign = n
			events[i].ID = schemas.EventID(&events[i])
		}
		return events
	}
	below := campaign("a", "b", "a", "")
	v.cap(day, below, tell)
	if told != nil || below[1].Dimensions.Campaign != "b" || below[1].ID != schemas.EventID(&below[1]) {
		t.Errorf("told %v below the limit, event %+v", told, below[1])
	}
	above := campaign("c", "a", "d", schemas.OtherValue)
	v.cap(day, above, tell)
	for i, want := range []string{schemas.OtherValue, "a", schemas.OtherValue, schemas.OtherValue} {
		if got := above[i].Dimensions.Campaign; got != want {
			t.Errorf("event %d above the limit: campaign %q, want %q", i, got, want)
		}
	}
	if above[0].ID != schemas.EventID(&above[0]) {
		t.Error("the event says (other), its id does not")
	}
	own := campaign("e")
	own[0].ID = schemas.Key{7}
	v.cap(day, own, tell)
	if own[0].Dimensions.Campaign != schemas.OtherValue || own[0].ID != (schemas.Key{7}) {
		t.Errorf("the provider's own id became %s", own[0].ID)
	}
	if got := strings.Join(told, ", "); got != "campaign 2 true, campaign 2 false, campaign 2 false" {
		t.Errorf("told %q", got)
	}
	told = nil
	v.cap(day+86400_000, campaign("x", "y"), tell)
	if told != nil {
		t.Errorf("told %v on a new day", told)
	}
}

// BenchmarkHandler is one client after the other over loopback with a fake
// Kafka in the process: the time of an answer when nothing else is going on.
func BenchmarkHandler(b *testing.B) {
	brokers := kafkatest.Brokers(b)
	kafkatest.Topics(b, brokers, 4)
	d := open(b, testConfig(), producer(b, 5*time.Second, brokers))
	for _, n := range []int{1, 50} {
		b.Run(fmt.Sprintf("statuses=%d", n), func(b *testing.B) {
			body := statuses(n)
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if got := d.post(b, body); got.status != 200 {
					b.Fatalf("got %d", got.status)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
	b.Run("clients=32/statuses=50", func(b *testing.B) {
		body := statuses(50)
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if got := d.post(b, body); got.status != 200 {
					b.Errorf("got %d", got.status)
				}
			}
		})
		b.ReportMetric(50*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}
