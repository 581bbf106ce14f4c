package e2e

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Light load: the number of messages, and how many a second on average.
const (
	freshMessages  = 100
	freshPerSecond = 6
)

// BenchmarkFreshness measures the time from the answer 200 to a webhook until
// its message is counted in v_campaigns, at light load, where nothing waits for
// others. Each message has a campaign of its own, by which it is seen. The
// webhooks come as a Poisson process, so that they do not keep step with a timer.
func BenchmarkFreshness(b *testing.B) {
	s := start(b, binary(b), filepath.Join(b.TempDir(), "data"))
	rng := rand.New(rand.NewPCG(1, 2))
	var took []time.Duration
	round := 0
	for b.Loop() {
		round++
		took = append(took, freshness(b, s, rng, round)...)
	}
	shown(b, s, len(took))
	slices.Sort(took)
	at := func(q float64) float64 {
		return float64(took[int(math.Ceil(q*float64(len(took))))-1]) / float64(time.Millisecond)
	}
	b.ReportMetric(at(0.5), "ms-p50")
	b.ReportMetric(at(0.99), "ms-p99")
	b.ReportMetric(0, "ns/op") // a round takes as long as its pauses
}

// shown checks that the operator can see it: in the histogram of the sink, from
// receipt to the row in events, and in v_freshness.
func shown(b *testing.B, s *server, events int) {
	b.Helper()
	s.await(fmt.Sprintf("SELECT count() FROM v_freshness WHERE stage IN ('message', 'sink/bluetick.events') AND next_offset >= %d AND lag_seconds >= 0", events), "2") // heartbeats have offsets too
	const name = "bluetick_sink_freshness_seconds"
	deadline := time.Now().Add(patience)
	for s.metric(name+"_count") != float64(events) { // a row is seen before it is counted
		if time.Now().After(deadline) {
			b.Fatalf("%s counts %v events, want %d", name, s.metric(name+"_count"), events)
		}
		<-time.After(20 * time.Millisecond)
	}
	b.ReportMetric(1000*s.metric(name+"_sum")/float64(events), "ms-events-mean")
}

// metric reads a metric, summed over its labels.
func (s *server) metric(name string) float64 {
	s.t.Helper()
	resp, err := http.Get("http://" + s.run.Metrics + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var sum float64
	found := false
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			s.t.Fatalf("%s: %v", name, err)
		}
		sum, found = sum+v, true
	}
	if !found {
		s.t.Fatalf("there is no metric %s", name)
	}
	return sum
}

// freshness posts a round of messages and returns how long each took.
func freshness(b *testing.B, s *server, rng *rand.Rand, round int) []time.Duration {
	b.Helper()
	prefix := fmt.Sprintf("fresh-%d-", round)
	waiting, posted := map[string]time.Time{}, 0
	var took []time.Duration
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	next := time.NewTimer(0)
	defer next.Stop()
	for len(took) < freshMessages {
		select {
		case <-next.C:
			campaign := fmt.Sprint(prefix, posted)
			if status := s.post(oneStatus(campaign, round*freshMessages+posted)); status != http.StatusOK {
				b.Fatalf("status %d", status)
			}
			waiting[campaign] = time.Now()
			if posted++; posted < freshMessages {
				next.Reset(time.Duration(rng.ExpFloat64() * float64(time.Second) / freshPerSecond))
			}
		case <-look.C:
			seen := s.sql("SELECT campaign FROM v_campaigns WHERE startsWith(campaign, '" + prefix + "') AND sent = 1")
			now := time.Now()
			for campaign := range strings.FieldsSeq(seen) {
				if at, ok := waiting[campaign]; ok {
					took = append(took, now.Sub(at))
					delete(waiting, campaign)
				}
			}
		}
	}
	return took
}

// oneStatus is a webhook as Meta sends most: one status of one message.
func oneStatus(campaign string, number int) []byte {
	return fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"%s","changes":[{"field":"messages","value":{`+
		`"messaging_product":"whatsapp","metadata":{"display_phone_number":"31680000000","phone_number_id":"820000000000002"},`+
		`"statuses":[{"id":"wamid.FRESH%07d","status":"sent","timestamp":"%d","recipient_id":"3169%07d",`+
		`"biz_opaque_callback_data":"{\"campaign\":\"%s\"}"}]}}]}]}`, account, number, time.Now().Unix(), number, campaign)
}
