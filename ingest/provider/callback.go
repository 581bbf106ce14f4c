package provider

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/schemas"
)

// maxExtra bounds the free map; of more entries the first by name stay, so that
// the choice does not depend on the order in the body.
const maxExtra = 16

// maxCallback bounds callback data; Meta takes at most 512 bytes.
const maxCallback = 8 << 10

// CompileCampaignPattern compiles an expression for Input.CampaignPattern, so
// that it matches whole values only. An empty one is nil: no bare value is a
// campaign.
func CompileCampaignPattern(expr string) (*regexp.Regexp, error) {
	if expr == "" {
		return nil, nil
	}
	re, err := regexp.Compile(`\A(?:` + expr + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("campaign pattern: %w", err)
	}
	return re, nil
}

// Callback reads the data a sender attached to its message: a JSON object of
// strings and numbers, or k=v;k=v. The five names of dimensions are exact, all
// others go to the free map. Any other text is a campaign only if the source's
// pattern matches it: many senders put an id per message there.
func (d *Decoder) Callback(e *schemas.Event, data string) {
	s := strings.TrimSpace(data)
	if s == "" || len(s) > maxCallback {
		return
	}
	if s[0] == '{' {
		d.callbackObject(e, s)
	} else if pairs, ok := splitPairs(s); ok {
		for _, kv := range pairs {
			d.dimension(e, kv[0], kv[1])
		}
	} else if re := d.in.CampaignPattern; re != nil && re.MatchString(s) {
		d.dimension(e, "campaign", s)
	}
	if e.Dimensions != (schemas.Dimensions{}) {
		e.DimensionSource = schemas.DimensionCallback
	}
	boundExtra(e)
}

func (d *Decoder) callbackObject(e *schemas.Event, s string) {
	p := d.dialect.parsers.Get()
	defer d.dialect.parsers.Put(p)
	v, err := p.Parse(s)
	if err != nil {
		return
	}
	o, err := v.Object()
	if err != nil {
		return
	}
	o.Visit(func(key []byte, v *fastjson.Value) {
		d.dimension(e, string(key), JSONText(v))
	})
}

// dimension sets one value under its name; of several the first counts.
func (d *Decoder) dimension(e *schemas.Event, name, value string) {
	value = d.Public(value, MaxValue)
	if value == "" {
		return
	}
	field := dimensionField(&e.Dimensions, name)
	if field != nil {
		if *field == "" {
			*field = value
		}
		return
	}
	if name = d.Public(name, MaxName); name == "" {
		return
	}
	if e.Extra == nil {
		e.Extra = map[string]string{}
	}
	if _, found := e.Extra[name]; !found {
		e.Extra[name] = value
	}
}

func dimensionField(d *schemas.Dimensions, name string) *string {
	switch name {
	case "campaign":
		return &d.Campaign
	case "template":
		return &d.Template
	case "variant":
		return &d.Variant
	case "segment":
		return &d.Segment
	case "language":
		return &d.Language
	default:
		return nil
	}
}

func boundExtra(e *schemas.Event) {
	if len(e.Extra) <= maxExtra {
		return
	}
	names := make([]string, 0, len(e.Extra))
	for k := range e.Extra {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names[maxExtra:] {
		delete(e.Extra, k)
	}
}

// splitPairs reads k=v;k=v. Unless every part has a name of letters, digits,
// '_', '-' or '.' and a value, the text is not of this form: base64 ends in '='
// too.
func splitPairs(s string) ([][2]string, bool) {
	var pairs [][2]string
	for part := range strings.SplitSeq(s, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		name, value, found := strings.Cut(part, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !found || !pairName(name) || strings.Trim(value, "=") == "" {
			return nil, false
		}
		pairs = append(pairs, [2]string{name, value})
	}
	return pairs, len(pairs) > 0
}

func pairName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.':
		default:
			return false
		}
	}
	return s != "" && len(s) <= MaxName
}
