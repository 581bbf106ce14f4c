package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/bluetick/bluetick/internal/terminal"
)

// viewEvery is how often the live view asks ClickHouse again.
const viewEvery = time.Second

// watch shows snapshots until ctx ends or the user asks to stop (nil).
type watch func(ctx context.Context, take func(context.Context) snapshot, p places) error

// watchTerminal redraws one screen.
func watchTerminal(in io.Reader, out io.Writer) watch {
	return func(ctx context.Context, take func(context.Context) snapshot, p places) error {
		m := &screenModel{ctx: ctx, take: take, places: p}
		_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler()).Run()
		if ctx.Err() != nil && (errors.Is(err, tea.ErrProgramKilled) || errors.Is(err, context.Canceled)) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("show the terminal view: %w", err)
		}
		return nil
	}
}

type screenModel struct {
	ctx    context.Context // of the watch; bubbletea has no other way to hand it to commands
	take   func(context.Context) snapshot
	places places
	latest snapshot
	shown  bool
}

// Init asks for the first snapshot.
func (m *screenModel) Init() tea.Cmd { return m.fetch }

func (m *screenModel) fetch() tea.Msg { return m.take(m.ctx) }

// Update takes keys and snapshots.
func (m *screenModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		if k := msg.String(); k == "ctrl+c" || k == "q" {
			return m, tea.Quit
		}
	case snapshot:
		m.latest, m.shown = msg, true
		return m, tea.Tick(viewEvery, func(time.Time) tea.Msg { return m.take(m.ctx) })
	}
	return m, nil
}

// View draws the latest snapshot.
func (m *screenModel) View() tea.View {
	if !m.shown {
		return tea.NewView("bluetick demo: starting\n")
	}
	return tea.NewView(m.latest.screen(m.places))
}

// watchLines writes a line every few seconds, and each alert once when it
// changes: for pipes and logs.
func watchLines(out io.Writer, every time.Duration) watch {
	return func(ctx context.Context, take func(context.Context) snapshot, p places) error {
		fmt.Fprint(out, p.help())
		told := map[string]bool{}
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			s := take(ctx)
			if ctx.Err() != nil {
				return nil
			}
			fmt.Fprintln(out, s.line())
			for _, a := range s.alerts {
				key := a.Rule + a.Campaign + a.OpenedAt.String() + a.State + a.Severity
				if !told[key] {
					told[key] = true
					fmt.Fprintln(out, "ALERT", terminal.Clean(a.String()))
				}
			}
			if s.note != "" {
				fmt.Fprintln(out, terminal.Clean(s.note))
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return nil
			}
		}
	}
}
