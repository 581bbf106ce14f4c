package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// emptyTimeout bounds the deletion of everything on a borrowed cluster; a
	// topic with many partitions takes a second.
	emptyTimeout = 30 * time.Second
	// emptyPoll is how often deletion is looked at.
	emptyPoll = 50 * time.Millisecond
)

// borrow empties the given cluster for this test and empties it again at its
// end. Other tests wait meanwhile.
func borrow(t testing.TB, brokers []string) []string {
	t.Helper()
	alone(t)
	adm := admin(t, brokers)
	ctx, cancel := context.WithTimeout(t.Context(), emptyTimeout)
	defer cancel()
	if err := empty(ctx, adm); err != nil {
		adm.Close()
		t.Fatalf("%s=%s: %v", brokersEnv, strings.Join(brokers, ","), err)
	}
	t.Cleanup(func() {
		defer adm.Close()
		ctx, cancel := context.WithTimeout(context.Background(), emptyTimeout) // the test's own is over
		defer cancel()
		if err := empty(ctx, adm); err != nil {
			t.Error(err)
		}
	})
	return brokers
}

// alone waits for the exclusive use of the borrowed cluster on this machine. The
// lock is on a file, so it holds between processes and needs no state here.
func alone(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "bluetick-test-brokers.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // gives the lock back
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}

// empty deletes all groups and topics and waits until no topic is left: one that
// is made again too early would inherit the name and not the offsets. A group
// with members cannot be deleted; the test that left them is at fault.
func empty(ctx context.Context, adm *kadm.Client) error {
	for {
		left, err := adm.ListTopics(ctx) // internal ones are not listed
		if err != nil {
			return fmt.Errorf("list topics: %w", err)
		}
		if len(left) == 0 {
			break
		}
		res, err := adm.DeleteTopics(ctx, left.Names()...)
		if err != nil {
			return fmt.Errorf("delete topics: %w", err)
		}
		for _, r := range res {
			if r.Err != nil && !errors.Is(r.Err, kerr.UnknownTopicOrPartition) {
				return fmt.Errorf("delete topic %s: %w", r.Topic, r.Err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d topics to be gone: %w", len(left), ctx.Err())
		case <-time.After(emptyPoll):
		}
	}
	groups, err := adm.ListGroups(ctx)
	if err != nil {
		return fmt.Errorf("list groups: %w", err)
	}
	if len(groups) == 0 {
		return nil
	}
	res, err := adm.DeleteGroups(ctx, groups.Groups()...)
	if err != nil {
		return fmt.Errorf("delete groups: %w", err)
	}
	for _, r := range res {
		if r.Err != nil && !errors.Is(r.Err, kerr.GroupIDNotFound) {
			return fmt.Errorf("delete group %s: %w", r.Group, r.Err)
		}
	}
	return nil
}
