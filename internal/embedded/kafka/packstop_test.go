package kafka

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestStoppedAfterEachStep lets the work go on to its first step, its second and so
// on, until none is left to stop after. Whatever the process has done when it is
// killed, every record is there that was not deleted, packing goes on, and no offset
// is given out again (P3, P5, K2).
func TestStoppedAfterEachStep(t *testing.T) {
	for name, work := range map[string]func(t *testing.T, b *Broker, to int64) error{
		"packing": func(t *testing.T, b *Broker, _ int64) error { return passes(t, b, 3) },
		"deleting": func(t *testing.T, b *Broker, to int64) error {
			var del kadm.Offsets
			del.Add(kadm.Offset{Topic: topic, Partition: 0, At: to})
			res, err := b.adm.DeleteRecords(t.Context(), del)
			return errors.Join(err, res.Error())
		},
	} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			dir := t.TempDir()
			b := open(t, Config{Dir: dir})
			b.packer.fileBytes = 700
			createTopic(t, b.Addr(), 1, small)
			fill(t, rand.New(rand.NewPCG(seed, 3)), producers(t, b.Addr()), 40)
			before := readAll(t, b.Addr(), -1)
			to := int64(len(before)) - 1 // kfake takes the next offset from the last record
			if name == "deleting" {
				pack(t, b, 3)
			} else {
				to = 0
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			seen := map[string]int{}
			for steps := 1; ; steps++ {
				left, done := stopAfter(t, killed(t, dir), steps, seen, func(b *Broker) error { return work(t, b, to) })
				stoppedWell(t, fmt.Sprintf("step %d", steps), left, before, to)
				if done {
					break
				}
			}
			t.Logf("%v", seen)
			want := []string{"a pack written", "a pack served", "the tail let go of"}
			if name == "deleting" {
				want = []string{"a pack deleted", "packs deleted, the tail not"}
			}
			for _, step := range want {
				if seen[step] == 0 {
					t.Errorf("nothing stopped after %q", step)
				}
			}
		})
	}
}

func passes(t *testing.T, b *Broker, n int) error {
	for range n {
		if err := b.pack(t.Context()); err != nil {
			return err
		}
	}
	return nil
}

// stopAfter does the work up to a step and returns what a kill leaves then. done
// is true when the work has fewer steps.
func stopAfter(t *testing.T, dir string, steps int, seen map[string]int, work func(*Broker) error) (left string, done bool) {
	t.Helper()
	b := open(t, Config{Dir: dir})
	b.packer.fileBytes = 700
	n, stopped := 0, errors.New("stopped")
	b.packs.after = func(step string) error {
		n++
		if n < steps {
			return nil
		}
		if n == steps {
			seen[step]++
			left = killed(t, dir)
		}
		return stopped
	}
	err := work(b)
	if n < steps {
		if err != nil {
			t.Fatal(err)
		}
		left, done = killed(t, dir), true
	}
	_ = b.Close() // what it leaves is not looked at
	return left, done
}

// stoppedWell starts on what a kill has left.
func stoppedWell(t *testing.T, step, dir string, before []kept, to int64) {
	t.Helper()
	b := open(t, Config{Dir: dir})
	defer b.Close()
	produce(t, b.Addr(), kgo.StringRecord("next"))
	for range 2 {
		all := readAll(t, b.Addr(), -1)
		if len(all) == 0 || all[0].Offset > to {
			t.Fatalf("%s: the log begins at %v, want %d at most", step, all, to)
		}
		last := all[len(all)-1]
		if diff := differ(before[all[0].Offset:], all[:len(all)-1]); diff != "" {
			t.Fatalf("%s: %s", step, diff)
		}
		if last.Offset != int64(len(before)) || string(last.Value) != "next" {
			t.Errorf("%s: the next record is %d %q", step, last.Offset, last.Value)
		}
		pack(t, b, 2)
	}
}
