package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluetick/bluetick/internal/simulate"
)

// BenchmarkLine measures how many statuses a second the whole line takes from
// webhooks to exact counts in ClickHouse, with everything embedded in one
// process that shares the machine with the poster. Three statuses a message:
// sent, delivered, read. The time ends when v_campaigns has counted all of them,
// so it includes the one or two seconds that rows wait for others.
func BenchmarkLine(b *testing.B) {
	for _, c := range []struct{ perBody, messages, posters int }{
		{50, 50_000, 8},
		{1, 10_000, 64}, // each waits for the disk, so more of them share a wait
	} {
		b.Run(fmt.Sprintf("statuses=%d", c.perBody), func(b *testing.B) {
			s := start(b, binary(b), filepath.Join(b.TempDir(), "data"))
			var answers []time.Duration
			round := 0
			for b.Loop() {
				b.StopTimer()
				campaign := fmt.Sprintf("line-%d", round)
				hooks := lineHooks(campaign, round*c.messages, c.messages, c.perBody)
				round++
				b.StartTimer()
				answers = append(answers, s.postAll(hooks, c.posters)...)
				s.await("SELECT sent, delivered, read FROM v_campaigns WHERE campaign = '"+campaign+"'",
					fmt.Sprintf("%d\t%[1]d\t%[1]d", c.messages))
			}
			b.ReportMetric(float64(3*c.messages*round)/b.Elapsed().Seconds(), "statuses/s")
			slices.Sort(answers)
			b.ReportMetric(float64(answers[len(answers)*99/100])/float64(time.Millisecond), "ms-200-p99")
			b.ReportMetric(0, "ns/op") // means nothing without the number of statuses
		})
	}
}

// hook is a signed webhook, ready to be posted.
type hook struct {
	body      []byte
	signature string
}

// lineHooks are webhooks with all statuses of messages from..from+count, first
// every sent, then every delivered, then every read, as a campaign's come.
func lineHooks(campaign string, from, count, perBody int) []hook {
	var hooks []hook
	sentAt := time.Now().Add(-time.Hour).Unix()
	for k, status := range []string{"sent", "delivered", "read"} {
		for first := from; first < from+count; first += perBody {
			var items []string
			for i := first; i < min(first+perBody, from+count); i++ {
				items = append(items, fmt.Sprintf(`{"id":"wamid.LINE%07d","status":"%s","timestamp":"%d","recipient_id":"3167%07d",`+
					`"biz_opaque_callback_data":"{\"campaign\":\"%s\",\"variant\":\"a\"}"}`, i, status, sentAt+int64(i%600)+int64(k*20), i, campaign))
			}
			body := fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"%s","changes":[{"field":"messages","value":{`+
				`"messaging_product":"whatsapp","metadata":{"display_phone_number":"31680000000","phone_number_id":"820000000000002"},`+
				`"statuses":[%s]}}]}]}`, account, strings.Join(items, ","))
			hooks = append(hooks, hook{body, simulate.Sign(appSecret, body)})
		}
	}
	return hooks
}

// postAll posts the webhooks, some at a time, and returns how long each answer
// took.
func (s *server) postAll(hooks []hook, posters int) []time.Duration {
	s.t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: posters}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	took, errs := make([]time.Duration, len(hooks)), make([]error, posters)
	var wg sync.WaitGroup
	for p := range posters {
		wg.Go(func() {
			for i := p; i < len(hooks) && errs[p] == nil; i += posters {
				began := time.Now()
				errs[p] = s.postHook(client, &hooks[i])
				took[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	if err := cmp.Or(errs...); err != nil {
		s.t.Fatalf("%v\n%s", err, s.log)
	}
	return took
}

// postHook posts one webhook, which must be taken. It may be called from any
// goroutine.
func (s *server) postHook(client *http.Client, h *hook) error {
	req, err := http.NewRequest(http.MethodPost, "http://"+s.run.Ingest+"/v1/webhooks/meta/main", bytes.NewReader(h.body))
	if err != nil {
		return err
	}
	req.Header.Set("X-Hub-Signature-256", h.signature)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
