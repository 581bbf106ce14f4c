package meter

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func counter(name, partition string) prometheus.Counter {
	o := prometheus.CounterOpts{Name: name, Help: "h"}
	if partition != "" {
		o.ConstLabels = prometheus.Labels{"partition": partition}
	}
	return prometheus.NewCounter(o)
}

func must(t *testing.T, s *Scope, c prometheus.Counter) prometheus.Counter {
	t.Helper()
	got := Register(s, c)
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}

// samples are name and value of every series.
func samples(t *testing.T, g prometheus.Gatherer) string {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += "/" + l.GetValue()
			}
			all = append(all, fmt.Sprintf("%s=%v", name, m.GetCounter().GetValue()))
		}
	}
	return strings.Join(all, " ")
}

func TestMetricsLeaveWithTheirScope(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	first, second := NewScope(reg), NewScope(reg)
	want := func(why, want string) {
		t.Helper()
		if got := samples(t, reg); got != want {
			t.Errorf("%s: %q, want %q", why, got, want)
		}
	}
	must(t, first, counter("rows", "0")).Inc()
	all := must(t, first, counter("all", ""))
	must(t, second, counter("rows", "1"))
	again := must(t, second, counter("all", ""))
	all.Inc()
	again.Inc()
	want("two partitions, one series in common", "all=2 rows/0=1 rows/1=0")
	first.Close()
	want("the first has closed", "all=2 rows/1=0")
	all.Inc()
	must(t, first, counter("rows", "0"))
	want("and is open again", "all=3 rows/0=0 rows/1=0")
	first.Close()
	first.Close()
	second.Close()
	want("all have closed", "")
	must(t, first, counter("all", ""))
	want("a new one counts from zero", "all=0")
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	reg.MustRegister(counter("foreign", ""))
	s := NewScope(reg)
	must(t, s, counter("known", ""))
	for _, c := range []struct {
		name     string
		register func(*Scope)
	}{
		{"a series of an owner that is not a scope", func(s *Scope) { Register(s, counter("foreign", "")).Inc() }},
		{"other labels under one name", func(s *Scope) { Register(s, counter("known", "0")).Inc() }},
		{"another kind under one name", func(s *Scope) {
			Register(s, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "known", Help: "h"}, nil)).WithLabelValues().Inc()
		}},
	} {
		other := NewScope(reg)
		c.register(other) // what is returned can be used, though nothing else sees it
		if err := other.Err(); err == nil || !strings.HasPrefix(err.Error(), "register metrics: ") {
			t.Errorf("%s: error %v", c.name, err)
		}
		other.Close()
		if err := other.Err(); err != nil {
			t.Errorf("%s: after the close error %v", c.name, err)
		}
	}
	if got := samples(t, reg); got != "foreign=0 known=0" {
		t.Errorf("with what was refused there is %q", got)
	}
	s.Close()
	if got := samples(t, reg); got != "foreign=0" {
		t.Errorf("after the close there is %q", got)
	}
}

func TestNoScope(t *testing.T) {
	t.Parallel()
	s := NewScope(nil)
	must(t, s, counter("a", "")).Inc()
	must(t, s, counter("a", "")).Inc()
	s.Close()
}

// Partitions open and close at any time: at the end nothing is left, and nobody
// counted into a series that had gone.
func TestScopesAtOnce(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 300 {
				s := NewScope(reg)
				Register(s, counter("all", "")).Inc()
				if err := s.Err(); err != nil {
					t.Error(err)
					return
				}
				if got := samples(t, reg); got == "" || got == "all=0" {
					t.Errorf("while a scope is open and has counted there is %q", got)
				}
				s.Close()
			}
		})
	}
	wg.Wait()
	if got := samples(t, reg); got != "" {
		t.Errorf("left over: %q", got)
	}
}
