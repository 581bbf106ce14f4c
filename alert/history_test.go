package alert

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluetick/bluetick/alert/receiver"
	"github.com/bluetick/bluetick/internal/golden"
	"github.com/bluetick/bluetick/internal/task"
	"github.com/bluetick/bluetick/schemas"
)

// TestHistories plays testdata/histories/*.txt and compares what was recorded
// and told with the .golden file beside each. A script has one command a line:
//
//	optouts  <account>/<campaign> <age> <from>..<to> <k>/<n>   a cohort each minute
//	delivery <account>[/<campaign>] <age> <from>..<to> <k>/<n>
//	progress <time>       roll-up's complete_to; without it cohorts bring their own
//	now <time>            the processing clock, else 20 s after the last progress
//	hold                  cohorts from here on wait for a flush, checkpoint or crash-after
//	flush | checkpoint | crash | crash-after <step>
//	receiver ok|refuses|unreachable
//	without <rule>        restart without the rule
//
// Times are [day+]HH:MM.
func TestHistories(t *testing.T) {
	files, err := filepath.Glob("testdata/histories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no histories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := &player{world: newWorld(t, defaults(t))}
			lines := bufio.NewScanner(bytes.NewReader(script))
			for n := 1; lines.Scan(); n++ {
				line, _, _ := strings.Cut(lines.Text(), "#")
				if words := strings.Fields(line); len(words) > 0 {
					fmt.Fprintf(&p.out, "> %s\n", strings.Join(words, " "))
					if err := p.do(words); err != nil {
						t.Fatalf("%s:%d: %v", file, n, err)
					}
					p.report()
				}
			}
			golden.Assert(t, strings.TrimSuffix(file, ".txt")+".golden", p.out.Bytes())
		})
	}
}

type player struct {
	*world
	out            bytes.Buffer
	rowsSeen, told int
	hold           bool
}

func (p *player) do(words []string) error {
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch words[0] {
	case "optouts", "delivery":
		return p.cohorts(words)
	case "progress":
		at, err := parseAt(arg(1))
		if err != nil {
			return err
		}
		p.progress(at)
		return p.flush()
	case "now":
		at, err := parseAt(arg(1))
		p.now = time.Unix(at, 0)
		return err
	case "hold":
		p.hold = true
		return nil
	case "flush":
		return p.flush()
	case "checkpoint":
		return p.checkpoint()
	case "crash":
		p.crash()
		return p.flush()
	case "crash-after":
		return p.crashAfter(task.Step(arg(1)))
	case "receiver":
		p.recv.fail = map[string]func(receiver.Notification) error{
			"refuses": func(receiver.Notification) error {
				return &receiver.Error{Reason: receiver.ReasonRefused, Attempts: 1, Err: errors.New("status 400")}
			},
			"unreachable": func(receiver.Notification) error {
				return &receiver.Error{Reason: receiver.ReasonUnreachable, Attempts: 4, Err: errors.New("status 503")}
			},
		}[arg(1)]
		return nil
	case "without":
		kept := p.cfg.Rules[:0:0]
		for _, r := range p.cfg.Rules {
			if r.Name != arg(1) {
				kept = append(kept, r)
			}
		}
		p.cfg.Rules = kept
		if err := p.checkpoint(); err != nil {
			return err
		}
		p.crash()
		return nil
	default:
		return fmt.Errorf("unknown command %q", words[0])
	}
}

// crashAfter crashes in the middle of the next flush or checkpoint.
func (p *player) crashAfter(step task.Step) error {
	p.fault = func(s task.Step) error {
		if s == step {
			return errCrash
		}
		return nil
	}
	err := p.checkpoint()
	p.fault = nil
	if !errors.Is(err, errCrash) {
		return fmt.Errorf("step %q was not reached: %w", step, err)
	}
	p.crash()
	return p.flush()
}

func (p *player) cohorts(words []string) error {
	if len(words) != 5 {
		return errors.New("want: series age from..to k/n")
	}
	acct, camp, isCampaign := strings.Cut(words[1], "/")
	s := account(acct)
	if isCampaign {
		s = campaign(acct, camp)
	}
	var age Age
	if err := age.UnmarshalText([]byte(words[2])); err != nil {
		return err
	}
	fromText, toText, _ := strings.Cut(words[3], "..")
	from, err := parseAt(fromText)
	if err != nil {
		return err
	}
	to, err := parseAt(toText)
	if err != nil {
		return err
	}
	kText, nText, _ := strings.Cut(words[4], "/")
	k, kerr := strconv.ParseInt(kText, 10, 64)
	n, nerr := strconv.ParseInt(nText, 10, 64)
	if err := errors.Join(kerr, nerr); err != nil {
		return err
	}
	totals := schemas.Totals{Sent: n, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: k}}
	if words[0] == "optouts" {
		totals = schemas.Totals{Sent: n, Outcomes: schemas.ByOutcome{schemas.OutcomeDelivered: n, schemas.OutcomeOptedOut: k}}
	}
	for at := from; at <= to; at += 60 {
		p.rate(s, age, at, totals)
		p.progress(at)
		if p.hold {
			continue
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
	return nil
}

func parseAt(s string) (int64, error) {
	day, clockText, ok := strings.Cut(s, "+")
	if !ok {
		day, clockText = "0", s
	}
	d, err := strconv.ParseInt(day, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("time %q: %w", s, err)
	}
	c, err := time.Parse("15:04", clockText)
	if err != nil {
		return 0, fmt.Errorf("time %q: %w", s, err)
	}
	return midnight + d*86400 + int64(c.Hour())*3600 + int64(c.Minute())*60, nil
}

func showAt(sec int64) string {
	return fmt.Sprintf("%d+%s", (sec-midnight)/86400, time.Unix(sec, 0).UTC().Format("15:04"))
}

// report writes the rows and notifications since the last one.
func (p *player) report() {
	for _, row := range p.emitted[p.rowsSeen:] {
		if row.Topic == schemas.TopicDeadLetters {
			d, err := schemas.DecodeDeadLetter(row.Value)
			p.must(err)
			fmt.Fprintf(&p.out, "  dead letter: %s %s\n", d.Stage, d.Reason)
			continue
		}
		tr, err := schemas.DecodeTransition(row.Value)
		p.must(err)
		fmt.Fprintf(&p.out, "  row %s: %s %s at %s, opened %s, %s: %d of %d at %s vs %s since %s, version %d, notified %v\n",
			where(&tr.Series), tr.State, tr.Severity, showAt(tr.At), showAt(tr.OpenedAt), tr.Reason,
			tr.K, tr.N, Age(tr.Age), percent(tr.Reference), showAt(tr.Since), tr.Version, tr.Notified)
	}
	p.rowsSeen = len(p.emitted)
	for _, n := range p.recv.got[p.told:] {
		fmt.Fprintf(&p.out, "  told %.6s: %s\n", n.Key, n.Title)
		if n.ChildrenTotal > 0 {
			fmt.Fprintf(&p.out, "    under it: %s\n", strings.Join(n.Children, "; "))
		}
	}
	p.told = len(p.recv.got)
}
