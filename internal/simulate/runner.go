package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/bluetick/bluetick/internal/retry"
)

// Config says where to post and how.
type Config struct {
	URL    string
	Secret string // the app secret that signs bodies
	// Concurrency is how many posts are under way at once. Meta delivers
	// concurrently too.
	Concurrency int
	// Lookahead is how far the clock may run ahead of what is acknowledged.
	Lookahead time.Duration
}

// Deps are what the runner needs from outside.
type Deps struct {
	Now   func() time.Time
	Speed func() float64    // how fast Now runs, in seconds per second
	Allow func(t time.Time) // raises the clock's ceiling
	Log   *slog.Logger
}

// Runner posts the plan of a journal.
type Runner struct {
	cfg     Config
	deps    Deps
	plan    *plan
	journal *Journal // owned by the collector
	truth   *truth
	client  *http.Client
	first   chan struct{} // closed at the first acknowledged post
}

// errRefused is an answer that trying again will not change.
var errRefused = errors.New("refused")

// New prepares a runner. What the journal holds counts as acknowledged at once.
func New(cfg Config, deps Deps, journal *Journal) *Runner {
	p := newPlan(journal.header.Seed, journal.Start(), journal.header.Scale)
	transport := &http.Transport{MaxIdleConnsPerHost: cfg.Concurrency, IdleConnTimeout: time.Minute}
	return &Runner{
		cfg: cfg, deps: deps, plan: p, journal: journal, truth: newTruth(p),
		client: &http.Client{Transport: transport, Timeout: 15 * time.Second},
		first:  make(chan struct{}),
	}
}

// First is closed at the first post of this run that was acknowledged.
func (r *Runner) First() <-chan struct{} { return r.first }

// Truth is what is right to count now: everything acknowledged so far.
func (r *Runner) Truth() []CampaignTruth { return r.truth.campaigns() }

// Totals are the acknowledged updates (repetitions included) and the opt-outs
// that name no message.
func (r *Runner) Totals() (updates, unattributed int64) { return r.truth.totals() }

// Run posts every block whose end has come, until ctx ends; posts under way are
// finished. It returns nil then, and an error if the receiver refuses a body or
// the journal cannot be written.
func (r *Runner) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer r.client.CloseIdleConnections()
	todo := make(chan body)                             // the loop sends, workers receive, the loop closes
	done := make(chan result, 2*r.cfg.Concurrency)      // workers send, the collector receives
	began := make(chan blockBegin, 2*r.cfg.Concurrency) // the loop sends before the block's bodies
	var workers sync.WaitGroup
	for range r.cfg.Concurrency {
		workers.Go(func() {
			for b := range todo {
				done <- result{b, r.post(ctx, b)}
			}
		})
	}
	var collector sync.WaitGroup
	collector.Go(func() { r.collect(began, done, cancel) })
	r.feed(ctx, began, todo)
	close(todo)
	workers.Wait()
	close(began)
	close(done)
	collector.Wait()
	if err := context.Cause(ctx); errors.Is(err, errRefused) || errors.Is(err, errJournal) {
		return err
	}
	return nil
}

type result struct {
	body body
	err  error
}

// blockBegin announces how many posts a block needs.
type blockBegin struct {
	block int64
	posts int
}

// feed hands the bodies of one block after another to the workers.
func (r *Runner) feed(ctx context.Context, began chan<- blockBegin, todo chan<- body) {
	blocks := r.plan.newBlocks(0)
	for block := int64(0); ; block++ {
		_, to := r.plan.bounds(block)
		replay := block <= r.journal.last
		if !replay && !r.wait(ctx, time.Unix(to, 0)) {
			return
		}
		var bodies []body
		acked := r.journal.acked[block]
		for _, b := range blocks.take(block) {
			if acked[b.index] {
				r.truth.acknowledge(b.updates)
			} else {
				bodies = append(bodies, b)
			}
		}
		select {
		case began <- blockBegin{block, len(bodies)}:
		case <-ctx.Done():
			return
		}
		for _, b := range bodies {
			select {
			case todo <- b:
			case <-ctx.Done():
				return
			}
		}
	}
}

// wait blocks until the clock has reached t; false if ctx ended first. The
// clock may be held back and change its speed, so the timer is short.
func (r *Runner) wait(ctx context.Context, t time.Time) bool {
	for {
		left := t.Sub(r.deps.Now())
		if left <= 0 {
			return ctx.Err() == nil
		}
		pause := time.Duration(float64(left) / r.deps.Speed())
		if retry.Pause(ctx, min(max(pause, time.Millisecond), 200*time.Millisecond)) != nil {
			return false
		}
	}
}

var errJournal = errors.New("journal")

// collect keeps the journal and the truth, and lets the clock go on as the
// oldest block with a post under way advances.
func (r *Runner) collect(began <-chan blockBegin, done <-chan result, cancel context.CancelCauseFunc) {
	open := map[int64]int{} // posts left per block
	frontier := int64(0)    // every block before it is acknowledged
	next := int64(0)        // the first block not begun
	started := false
	advance := func() {
		for frontier < next && open[frontier] == 0 {
			delete(open, frontier)
			frontier++
		}
		_, to := r.plan.bounds(frontier)
		r.deps.Allow(time.Unix(to, 0).Add(r.cfg.Lookahead))
	}
	for began != nil || done != nil {
		select {
		case b, ok := <-began:
			if !ok {
				began = nil
				continue
			}
			// A body of the block can be answered before this is read: add.
			open[b.block] += b.posts
			next = b.block + 1
		case d, ok := <-done:
			if !ok {
				done = nil
				continue
			}
			if d.err != nil {
				cancel(d.err)
				continue
			}
			if err := r.journal.append(d.body.block, d.body.index); err != nil {
				cancel(errors.Join(errJournal, err))
				continue
			}
			r.truth.acknowledge(d.body.updates)
			open[d.body.block]--
			if !started {
				started = true
				close(r.first)
			}
		}
		advance()
	}
}

// post delivers one body, again and again while the receiver is away or
// overloaded, as Meta does. A post under way when ctx ends gets its answer; a
// further attempt is not made.
func (r *Runner) post(ctx context.Context, b body) error {
	bytes := r.plan.render(b.updates)
	signature := Sign(r.cfg.Secret, bytes)
	pauses := retry.Backoff{Least: 20 * time.Millisecond, Most: 2 * time.Second, Spread: true}
	for attempt := 0; ; attempt++ {
		status, err := r.once(context.WithoutCancel(ctx), bytes, signature)
		switch {
		case err == nil && status == http.StatusOK:
			return nil
		case err == nil && status/100 == 4 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
			return fmt.Errorf("post block %d body %d: status %d: %w", b.block, b.index, status, errRefused)
		}
		r.deps.Log.Debug("webhook not taken", "status", status, "err", err, "attempt", attempt)
		if err := retry.Pause(ctx, pauses.Next()); err != nil {
			return err
		}
	}
}

func (r *Runner) once(ctx context.Context, b []byte, signature string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.cfg.URL, bytes.NewReader(b))
	if err != nil {
		return 0, fmt.Errorf("post a webhook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", signature)
	resp, err := r.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("post a webhook: %w", err)
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	return resp.StatusCode, err
}
