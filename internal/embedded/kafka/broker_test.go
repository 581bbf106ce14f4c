package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const topic = "t"

// open starts a broker that the test closes at its end.
func open(t testing.TB, cfg Config) *Broker {
	t.Helper()
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	cfg.NoPassword = cfg.Password == ""
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	b, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// client closes at the end of the test. It pushes no metrics of its own, for which
// it would wait at its end when the broker is gone by then.
func client(t testing.TB, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic), kgo.DisableClientMetrics()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func createTopic(t testing.TB, addr string, partitions int32, configs map[string]*string) {
	t.Helper()
	res, err := kadm.NewClient(client(t, addr)).CreateTopic(t.Context(), partitions, 1, configs, topic)
	if err := errors.Join(err, res.Err); err != nil {
		t.Fatal(err)
	}
}

func produce(t testing.TB, addr string, recs ...*kgo.Record) {
	t.Helper()
	cl := client(t, addr)
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), recs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// values reads everything of the topic and returns how often each value is there.
func values(t testing.TB, addr string) map[string]int {
	t.Helper()
	cl := client(t, addr, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	start, end := bounds(t, addr)
	left := int64(0)
	for p := range end {
		left += end[p] - start[p]
	}
	got := map[string]int{}
	for left > 0 {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatalf("read, %d records missing: %v", left, err)
		}
		fs.EachRecord(func(r *kgo.Record) { got[string(r.Value)]++; left-- })
	}
	return got
}

// bounds returns the start and end offsets of the topic's partitions.
func bounds(t testing.TB, addr string) (start, end map[int32]int64) {
	t.Helper()
	cl := client(t, addr)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	start, end = map[int32]int64{}, map[int32]int64{}
	s, err := adm.ListStartOffsets(t.Context(), topic)
	if err := errors.Join(err, s.Error()); err != nil {
		t.Fatal(err)
	}
	e, err := adm.ListEndOffsets(t.Context(), topic)
	if err := errors.Join(err, e.Error()); err != nil {
		t.Fatal(err)
	}
	s.Each(func(o kadm.ListedOffset) { start[o.Partition] = o.Offset })
	e.Each(func(o kadm.ListedOffset) { end[o.Partition] = o.Offset })
	return start, end
}

func TestReopenKeepsRecordsAndOffsets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "open")
	b := open(t, Config{Dir: dir, Sync: true})
	createTopic(t, b.Addr(), 2, nil)
	for i := range 10 {
		produce(t, b.Addr(), kgo.StringRecord(fmt.Sprint(i)))
	}
	_, end := bounds(t, b.Addr())
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatalf("second Close: %v", err)
	}

	b = open(t, Config{Dir: dir})
	if got := values(t, b.Addr()); len(got) != 10 {
		t.Errorf("%d of 10 records are there: %v", len(got), got)
	}
	if _, again := bounds(t, b.Addr()); fmt.Sprint(again) != fmt.Sprint(end) {
		t.Errorf("end offsets %v, before the restart %v", again, end)
	}
}

func TestOpenRefusesWithRemedy(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	newer := t.TempDir()
	if err := os.WriteFile(filepath.Join(newer, "meta.json"), []byte(`{"version":99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		cfg  Config
		want string
	}{
		"port in use":          {Config{Addr: busy.Addr().String()}, "stop the program that holds it or choose another address"},
		"every interface":      {Config{Addr: "0.0.0.0:0"}, "advertised host"},
		"every interface, v6":  {Config{Addr: "[::]:0"}, "advertised host"},
		"empty host":           {Config{Addr: ":0"}, "advertised host"},
		"no port":              {Config{Addr: "127.0.0.1"}, "not host:port"},
		"foreign address":      {Config{Addr: "192.0.2.1:0"}, "listen on 192.0.2.1:0"},
		"no password":          {Config{}, "without a Config.Password"},
		"folder is a file":     {Config{Dir: file}, "make its data folder"},
		"no folder":            {Config{Dir: "-"}, "Config.Dir is empty"},
		"data of a newer form": {Config{Dir: newer}, "newer than supported"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := tc.cfg
			cfg.Now, cfg.NoPassword = time.Now, name != "no password"
			switch cfg.Dir {
			case "":
				cfg.Dir = t.TempDir()
			case "-":
				cfg.Dir = ""
			}
			if cfg.Addr == "" {
				cfg.Addr = "127.0.0.1:0"
			}
			b, err := Open(cfg)
			if err == nil {
				_ = b.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q does not say %q", err, tc.want)
			}
		})
	}
	if _, err := Open(Config{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "Config.Now") {
		t.Errorf("without a clock: %v", err)
	}
}

func TestAdvertisedHost(t *testing.T) {
	b := open(t, Config{Dir: t.TempDir(), Addr: "0.0.0.0:0", AdvertisedHost: "kafka.example"})
	host, port, err := net.SplitHostPort(b.Addr())
	if err != nil || host != "kafka.example" || port == "0" {
		t.Fatalf("Addr = %q, %v", b.Addr(), err)
	}
	brokers, err := kadm.NewClient(client(t, "127.0.0.1:"+port)).ListBrokers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(brokers) != 1 || brokers[0].Host != "kafka.example" || fmt.Sprint(brokers[0].Port) != port {
		t.Errorf("metadata names %v, want one broker %s", brokers, b.Addr())
	}
	if err := b.sweep(t.Context()); err != nil {
		t.Errorf("the sweep must not need the advertised name: %v", err)
	}
}

func TestCloseReportsWhatItCouldNotWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kafka")
	b, err := Open(Config{Dir: dir, Addr: "127.0.0.1:0", NoPassword: true, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err == nil || !strings.Contains(err.Error(), "persist to disk") {
		t.Errorf("Close = %v, want what was not written", err)
	}
}

func TestStartStop(t *testing.T) {
	dir := t.TempDir()
	for i := range 25 {
		b, err := Open(Config{Dir: dir, Addr: "127.0.0.1:0", NoPassword: true, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			createTopic(t, b.Addr(), 3, nil)
		}
		// A member of a group that loses its broker would take seconds to leave.
		opts := []kgo.Opt{kgo.ConsumeTopics(topic)}
		if i%2 == 0 {
			opts = append(opts, kgo.ConsumerGroup("g"))
		}
		cl := client(t, b.Addr(), opts...)
		cl.Produce(t.Context(), kgo.StringRecord("x"), nil) // may still be in flight when the broker goes
		if i%2 == 0 {
			cl.Close()
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		cl.Close()
	}
}
