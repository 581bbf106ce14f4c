package provider

import (
	"fmt"
	"net/url"
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
// that it matches whole values only. Groups named like a dimension say which part
// of the value it is; without any, the whole value is the campaign. An empty
// expression is nil: no bare value is a campaign.
func CompileCampaignPattern(expr string) (*regexp.Regexp, error) {
	if expr == "" {
		return nil, nil
	}
	// On its own first, so that the error quotes what the operator wrote.
	if _, err := regexp.Compile(expr); err != nil {
		return nil, err
	}
	re, err := regexp.Compile(`\A(?:` + expr + `)\z`)
	if err != nil {
		return nil, err
	}
	for _, name := range re.SubexpNames() {
		if name != "" && dimensionField(&schemas.Dimensions{}, name) == nil {
			return nil, fmt.Errorf("no dimension is named like the group %q: want campaign, template, variant, segment or language", name)
		}
	}
	return re, nil
}

// CallbackJSON is Callback for data that a relay may have parsed on its way: an
// object says what its text said.
func (d *Decoder) CallbackJSON(e *schemas.Event, v *fastjson.Value) {
	if !IsJSONObject(v) {
		d.Callback(e, JSONText(v))
		return
	}
	d.callbackObject(e, v.GetObject())
	finishCallback(e)
}

// Callback reads the data a sender attached to its message: a JSON object of
// strings and numbers, k=v;k=v, or k=v&k=v as in a URL. The five names of
// dimensions are exact, all others go to the free map. Any other text is a
// campaign only if the source's pattern matches it: many senders put an id per
// message there.
func (d *Decoder) Callback(e *schemas.Event, data string) {
	s := strings.TrimSpace(data)
	if s == "" || len(s) > maxCallback {
		return
	}
	if s[0] == '{' {
		d.callbackText(e, s)
	} else if pairs, ok := splitCallback(s); ok {
		for _, kv := range pairs {
			d.dimension(e, kv[0], kv[1])
		}
	} else if re := d.in.CampaignPattern; re != nil {
		d.callbackPattern(e, re, s)
	}
	finishCallback(e)
}

func finishCallback(e *schemas.Event) {
	if e.Dimensions != (schemas.Dimensions{}) {
		e.DimensionSource = schemas.DimensionCallback
	}
	boundExtra(e)
}

// callbackPattern reads a bare value by the source's pattern.
func (d *Decoder) callbackPattern(e *schemas.Event, re *regexp.Regexp, s string) {
	found := re.FindStringSubmatch(s)
	if found == nil {
		return
	}
	named := false
	for i, name := range re.SubexpNames() {
		if name != "" {
			named = true
			d.dimension(e, name, found[i])
		}
	}
	if !named {
		d.dimension(e, "campaign", s)
	}
}

func (d *Decoder) callbackText(e *schemas.Event, s string) {
	p := d.dialect.parsers.Get()
	defer d.dialect.parsers.Put(p)
	v, err := p.Parse(s)
	if err != nil {
		return
	}
	if o, err := v.Object(); err == nil {
		d.callbackObject(e, o)
	}
}

func (d *Decoder) callbackObject(e *schemas.Event, o *fastjson.Object) {
	o.Visit(func(key []byte, v *fastjson.Value) {
		d.dimension(e, string(key), JSONText(v))
	})
}

// dimension sets one value under its name; of several the first counts.
func (d *Decoder) dimension(e *schemas.Event, name, value string) {
	if field := dimensionField(&e.Dimensions, name); field != nil {
		if value = d.PublicName(value); *field == "" {
			*field = value
		}
		return
	}
	if value = d.Public(value, MaxValue); value == "" {
		return
	}
	d.Note(e, name, value)
}

// Note puts a public value into the free map under its name; of several the
// first counts.
func (d *Decoder) Note(e *schemas.Event, name, value string) {
	if name = d.Public(name, MaxName); name == "" || value == "" {
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

// splitCallback reads k=v&k=v, whose parts are decoded as a URL's are, or k=v;k=v,
// whose parts are taken as they stand. A single pair is a URL's if it has escapes.
func splitCallback(s string) ([][2]string, bool) {
	if !strings.ContainsRune(s, ';') && strings.ContainsAny(s, "&%") {
		if pairs, ok := splitPairs(s, "&"); ok && (len(pairs) > 1 || strings.ContainsRune(s, '%')) && unescape(pairs) {
			return pairs, true
		}
	}
	return splitPairs(s, ";")
}

// unescape decodes the pairs of a query string; false if one is not encoded.
func unescape(pairs [][2]string) bool {
	for i := range pairs {
		value, err := url.QueryUnescape(pairs[i][1])
		if err != nil {
			return false
		}
		pairs[i][1] = value
	}
	return true
}

// splitPairs reads pairs with that separator between them. Unless every part has
// a name of letters, digits, '_', '-' or '.' and a value, the text is not of this
// form: base64 ends in '=' too.
func splitPairs(s, separator string) ([][2]string, bool) {
	var pairs [][2]string
	for part := range strings.SplitSeq(s, separator) {
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
