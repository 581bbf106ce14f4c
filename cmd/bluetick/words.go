package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/bluetick/bluetick/ingest"
	"github.com/bluetick/bluetick/internal/terminal"
	"github.com/bluetick/bluetick/schemas"
)

// wordsCmd shows by which words people leave and come back.
type wordsCmd struct {
	settings
	Source string `help:"Source whose own words count too; needed only if several sources change them." placeholder:"NAME"`
	From   string `help:"Say of each line of this file what it would be; - reads standard input." placeholder:"FILE"`
}

// Help is shown below the flags.
func (wordsCmd) Help() string {
	return `A message counts as an opt-out if the whole of it is one of these words, however it
is written: case, accents, emoji and politeness around it do not matter. A source
changes its list in the file of --config:

  sources:
    - name: main
      opt_out: {add: [no more], remove: [cancel]}

Texts are not kept, so a new word holds from the moment ingest starts with it, not for
what came before. To find words that are missing, put real answers into a file, one a
line: each is shown as opt_out, opt_in, may_be (short, and holds a word to leave: ingest
marks it) or - (any other answer).

  bluetick words --from answers.txt`
}

// Run executes the command.
func (c *wordsCmd) Run() error {
	cfg, err := c.over()
	if err != nil {
		return err
	}
	words, err := c.inForce(cfg.Sources)
	if err != nil {
		return err
	}
	switch c.From {
	case "":
		return printWords(os.Stdout, words)
	case "-":
		return judgeLines(os.Stdout, os.Stdin, words)
	}
	f, err := os.Open(c.From)
	if err != nil {
		return fmt.Errorf("read texts to judge: %w", err)
	}
	return errors.Join(judgeLines(os.Stdout, f, words), f.Close())
}

// inForce are the words of the source asked for, else those of the only source
// that has its own, else the defaults.
func (c *wordsCmd) inForce(sources []ingest.Source) (*schemas.OptOutWords, error) {
	var found []*ingest.Source
	for i := range sources {
		s := &sources[i]
		own := len(s.OptOut.Add)+len(s.OptOut.Remove)+len(s.OptIn.Add)+len(s.OptIn.Remove) > 0
		if c.Source == s.Name || c.Source == "" && own {
			found = append(found, s)
		}
	}
	switch {
	case c.Source != "" && len(found) == 0:
		return nil, fmt.Errorf("--source %s: no such source in the configuration", c.Source)
	case len(found) > 1:
		return nil, errors.New("several sources have words of their own: say which with --source")
	case len(found) == 0:
		return schemas.DefaultOptOutWords()
	}
	words, err := found[0].Words()
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", found[0].Name, err)
	}
	return words, nil
}

func printWords(out io.Writer, words *schemas.OptOutWords) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "meaning\tlanguage\tword")
	for _, word := range words.All() {
		language := strings.Join(word.Languages, ",")
		if language == "" {
			language = "(yours)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", meaningName(word.Meaning), language, terminal.Clean(word.Text))
	}
	return w.Flush()
}

func judgeLines(out io.Writer, in io.Reader, words *schemas.OptOutWords) error {
	w := bufio.NewWriter(out)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		verdict := meaningName(words.Meaning(lines.Text()))
		if verdict == "-" && words.MayBeOptOut(lines.Text()) {
			verdict = "may_be"
		}
		fmt.Fprintf(w, "%-8s%s\n", verdict, terminal.Clean(lines.Text()))
	}
	if err := lines.Err(); err != nil {
		return errors.Join(w.Flush(), fmt.Errorf("read texts to judge, one a line: %w", err))
	}
	return w.Flush()
}

func meaningName(t schemas.EventType) string {
	switch t {
	case schemas.TypeOptedOut:
		return "opt_out"
	case schemas.TypeOptedIn:
		return "opt_in"
	default:
		return "-"
	}
}
