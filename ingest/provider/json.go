package provider

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/schemas"
)

// JSONText is the value of a string or a number, since providers switch between the
// two; anything else is empty. It copies: the parser's memory is reused.
func JSONText(v *fastjson.Value, keys ...string) string {
	return string(rawText(v.Get(keys...)))
}

// rawText is JSONText without the copy: valid until the parser is used again.
func rawText(v *fastjson.Value) []byte {
	if v == nil {
		return nil
	}
	switch v.Type() {
	case fastjson.TypeString:
		return v.GetStringBytes()
	case fastjson.TypeNumber:
		return v.MarshalTo(nil)
	default:
		return nil
	}
}

// JSONFirstText is the first of the keys that has a non-empty text: providers
// rename fields between versions.
func JSONFirstText(v *fastjson.Value, keys ...string) string {
	for _, k := range keys {
		if s := rawText(v.Get(k)); len(s) > 0 {
			return string(s)
		}
	}
	return ""
}

// IsJSONObject reports whether v is a JSON object.
func IsJSONObject(v *fastjson.Value) bool { return v != nil && v.Type() == fastjson.TypeObject }

// latestInstant is 9999-12-31T23:59:59Z: no provider's clock is beyond it, and
// later values would overflow time arithmetic.
const latestInstant = 253402300799_000

// milliseconds is the least number that is taken for milliseconds instead of
// seconds; as seconds it would be the year 33658.
const milliseconds = 1_000_000_000_000

// JSONInstant reads seconds or milliseconds since the epoch, as string or number,
// rounded down to the millisecond. The epoch itself and all before it are not
// times a message can have.
func JSONInstant(v *fastjson.Value) (schemas.Instant, bool) {
	raw := rawText(v)
	if len(raw) == 0 || len(raw) > 32 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(string(raw), 64)
		if err != nil || math.IsNaN(f) || f < 0 || f > latestInstant {
			return 0, false
		}
		if f < milliseconds {
			f *= 1000
		}
		n = int64(f)
	} else if n > 0 && n < milliseconds {
		n *= 1000
	}
	if n <= 0 || n > latestInstant {
		return 0, false
	}
	return schemas.Instant(n), true
}

// JSONInteger reads a string or number as an int32; false if it cannot.
func JSONInteger(v *fastjson.Value) (int32, bool) {
	n, err := strconv.ParseInt(string(rawText(v)), 10, 32)
	if err != nil {
		return 0, false
	}
	return int32(n), true
}

// JSONItem is one item of a list and its index; -1 if it stands in the list's
// place.
type JSONItem struct {
	Index int
	Value *fastjson.Value
}

// JSONList reads a list as providers and relays write it: an array, an object
// whose keys are 0, 1, 2, …, or a single item in the list's place. ok is false
// if v is none of these; nothing and null are an empty list.
func JSONList(v *fastjson.Value) (items []JSONItem, ok bool) {
	if v == nil {
		return nil, true
	}
	switch v.Type() {
	case fastjson.TypeNull:
		return nil, true
	case fastjson.TypeArray:
		array := v.GetArray()
		items = make([]JSONItem, len(array))
		for i, item := range array {
			items[i] = JSONItem{i, item}
		}
		return items, true
	case fastjson.TypeObject:
		if items = numbered(v.GetObject()); items == nil {
			items = []JSONItem{{-1, v}}
		}
		return items, true
	default:
		return nil, false
	}
}

// numbered are the values of an object whose keys all are numbers, in their order;
// nil if another key is among them, or none.
func numbered(o *fastjson.Object) []JSONItem {
	items, other := make([]JSONItem, 0, o.Len()), o.Len() == 0
	o.Visit(func(key []byte, v *fastjson.Value) {
		n, err := strconv.ParseUint(string(key), 10, 31)
		other = other || err != nil
		items = append(items, JSONItem{int(n), v})
	})
	if other {
		return nil
	}
	slices.SortStableFunc(items, func(a, b JSONItem) int { return cmp.Compare(a.Index, b.Index) })
	return items
}

// JSONFirst is the first item of a list, nil if it has none.
func JSONFirst(v *fastjson.Value) *fastjson.Value {
	if items, _ := JSONList(v); len(items) > 0 {
		return items[0].Value
	}
	return nil
}
