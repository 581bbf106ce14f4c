package apache

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// jars returns Kafka's jars; the tests of a real Kafka run only where they are
// asked for, because they fetch 43 MB the first time.
func jars(t *testing.T) string {
	t.Helper()
	if os.Getenv("BLUETICK_TEST_KAFKA") != "apache" {
		t.Skip("a real Kafka is started only with BLUETICK_TEST_KAFKA=apache")
	}
	dir, err := Jars(t.Context())
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLifeOfANode(t *testing.T) {
	b, err := Start(t.Context(), Config{Jars: jars(t), Dir: t.TempDir()})
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Kill)
	addr := b.Addr()
	if err := b.Restart(t.Context()); err != nil || b.Addr() != addr {
		t.Fatalf("restart of a running node: %v, now on %s", err, b.Addr())
	}

	use := func(fn func(*kgo.Client)) {
		t.Helper()
		cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("t"))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		fn(cl)
	}
	use(func(cl *kgo.Client) {
		if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
			t.Fatal(err)
		}
	})
	for i, end := range []func(){b.Kill, b.Stop} {
		use(func(cl *kgo.Client) {
			if err := cl.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
				t.Fatal(err)
			}
		})
		end()
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			t.Fatal("somebody serves after the node ended")
		}
		if err := b.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		use(func(cl *kgo.Client) {
			ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), "t")
			if err != nil {
				t.Fatal(err)
			}
			if o, ok := ends.Lookup("t", 0); !ok || o.Offset != int64(i+1) {
				t.Errorf("end offset %v after restart %d", o, i+1)
			}
		})
	}
	b.Kill()
	b.Kill() // nothing to do
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	dir := jars(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, err = Start(t.Context(), Config{Jars: dir, Dir: t.TempDir(), Port: busy.Addr().(*net.TCPAddr).Port})
	if !errors.Is(err, errPortTaken) {
		t.Errorf("port in use: %v", err)
	}
	_, err = Start(t.Context(), Config{Jars: t.TempDir(), Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "StorageTool") {
		t.Errorf("no jars: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, Config{Jars: dir, Dir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestMissingIsNamed(t *testing.T) {
	t.Run("jars", func(t *testing.T) {
		t.Setenv(jarsEnv, t.TempDir())
		if _, err := Jars(t.Context()); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "kafka_*.jar") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("maven", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		if err := fetch(t.Context(), t.TempDir()); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "mvn") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("maven fails", func(t *testing.T) {
		bin, dir := t.TempDir(), t.TempDir()
		if err := os.WriteFile(filepath.Join(bin, "mvn"), []byte("#!/bin/sh\necho no network\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		for range 2 { // a failure must not count as done
			if err := fetch(t.Context(), dir); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "no network") {
				t.Errorf("got %v", err)
			}
		}
	})
	t.Run("java", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		t.Setenv("JAVA_HOME", "")
		if _, err := Start(t.Context(), Config{Dir: t.TempDir()}); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "java") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("module", func(t *testing.T) {
		t.Chdir(t.TempDir())
		if _, err := Jars(t.Context()); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), jarsEnv) {
			t.Errorf("got %v", err)
		}
	})
}

func TestPorts(t *testing.T) {
	for _, wanted := range []int{0, 1234} {
		port, controller, err := ports(wanted)
		if err != nil || port == controller || port == 0 || controller == 0 || wanted != 0 && port != wanted {
			t.Errorf("ports(%d) = %d, %d, %v", wanted, port, controller, err)
		}
	}
}
