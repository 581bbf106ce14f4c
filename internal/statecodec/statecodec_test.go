package statecodec

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
)

// A field has one form, the one in the states on disk: these bytes never change.
func TestFieldsGolden(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		b    []byte
		want string
		read func(*Reader) bool
	}{
		{"unsigned 0", AppendUint(nil, 0), "00", func(r *Reader) bool { return r.Uint() == 0 }},
		{"unsigned of two bytes", AppendUint(nil, 300), "ac02", func(r *Reader) bool { return r.Uint() == 300 }},
		{"greatest unsigned", AppendUint(nil, math.MaxUint64), "ffffffffffffffffff01", func(r *Reader) bool { return r.Uint() == math.MaxUint64 }},
		{"signed -1", AppendInt(nil, -1), "01", func(r *Reader) bool { return r.Int() == -1 }},
		{"signed 1", AppendInt(nil, 1), "02", func(r *Reader) bool { return r.Int() == 1 }},
		{"least signed", AppendInt(nil, math.MinInt64), "ffffffffffffffffff01", func(r *Reader) bool { return r.Int() == math.MinInt64 }},
		{"text", AppendText(nil, "rye"), "03727965", func(r *Reader) bool { return r.Text() == "rye" }},
		{"empty text", AppendText(nil, ""), "00", func(r *Reader) bool { return r.Text() == "" }},
		{"bytes", AppendText(nil, "\x00\xff"), "0200ff", func(r *Reader) bool { return bytes.Equal(r.Bytes(), []byte{0, 255}) }},
		{"float", AppendFloat(nil, 2.5), "0000000000000440", func(r *Reader) bool { return r.Float() == 2.5 }},
		{"minus infinity", AppendFloat(nil, math.Inf(-1)), "000000000000f0ff", func(r *Reader) bool { return math.IsInf(r.Float(), -1) }},
		{"true", AppendBool(nil, true), "01", (*Reader).Bool},
		{"false", AppendBool(nil, false), "00", func(r *Reader) bool { return !r.Bool() }},
		{"count", AppendUint(nil, 0), "00", func(r *Reader) bool { return r.Count(8) == 0 }},
		{"format", []byte{7}, "07", func(r *Reader) bool { r.Format(7); return r.Err() == nil }},
	} {
		if got := hex.EncodeToString(c.b); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		r := NewReader(c.b)
		if !c.read(r) || r.End() != nil {
			t.Errorf("%s is not read back: %v", c.name, r.End())
		}
		for n := range c.b {
			r := NewReader(c.b[:n])
			c.read(r)
			if !errors.Is(r.End(), ErrShort) {
				t.Errorf("%s: the first %d of %d bytes: %v, want %v", c.name, n, len(c.b), r.End(), ErrShort)
			}
		}
		r = NewReader(append(bytes.Clone(c.b), 0))
		c.read(r)
		if !errors.Is(r.End(), ErrExtra) {
			t.Errorf("%s and a byte too many: %v, want %v", c.name, r.End(), ErrExtra)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		b    []byte
		read func(*Reader)
		want error
	}{
		{"a number of eleven bytes", bytes.Repeat([]byte{0xff}, 11), func(r *Reader) { r.Uint() }, ErrShort},
		{"a truth of 2", []byte{2}, func(r *Reader) { r.Bool() }, ErrRange},
		{"NaN", AppendFloat(nil, math.NaN()), func(r *Reader) { r.Float() }, ErrRange},
		{"another layout", []byte{2, 0}, func(r *Reader) { r.Format(1) }, ErrRange},
		{"a text longer than the value", []byte{5, 'a'}, func(r *Reader) { _ = r.Text() }, ErrShort},
		{"a length beyond all memory", AppendUint(nil, math.MaxUint64), func(r *Reader) { r.Bytes() }, ErrShort},
		{"more items than the value could hold", append(AppendUint(nil, 3), make([]byte, 23)...), func(r *Reader) { r.Count(8) }, ErrShort},
		{"what the caller found", []byte{1}, func(r *Reader) { r.Uint(); r.Fail(ErrRange) }, ErrRange},
	} {
		r := NewReader(c.b)
		c.read(r)
		if err := r.End(); !errors.Is(err, c.want) || !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	r := NewReader([]byte{2, 1, 1})
	r.Bool()
	if r.Uint() != 0 || r.Int() != 0 || r.Text() != "" || r.Bool() || r.Float() != 0 || r.Count(1) != 0 || r.Take(1) != nil {
		t.Error("something is read after a mistake")
	}
	if !errors.Is(r.End(), ErrRange) {
		t.Errorf("the last mistake is told, not the first: %v", r.End())
	}
	if !strings.Contains(ErrShort.Error(), "backup") {
		t.Errorf("%v names no remedy", ErrShort)
	}
}

// Whatever is stored, a reader ends with an error or with all of it read, and
// asks for no more memory than the value has bytes.
func FuzzReader(f *testing.F) {
	f.Add([]byte("utbfcix"), AppendText(AppendFloat(AppendUint(nil, 7), 1.5), "a"))
	f.Fuzz(func(t *testing.T, fields, b []byte) {
		r := NewReader(b)
		for _, k := range fields {
			switch k % 7 {
			case 0:
				r.Uint()
			case 1:
				r.Int()
			case 2:
				if s := r.Text(); len(s) > len(b) {
					t.Errorf("a text of %d bytes out of %d", len(s), len(b))
				}
			case 3:
				r.Bool()
			case 4:
				if math.IsNaN(r.Float()) {
					t.Error("NaN")
				}
			case 5:
				if n := r.Count(3); 3*n > len(b) {
					t.Errorf("%d items of 3 bytes out of %d", n, len(b))
				}
			case 6:
				r.Format(1)
			}
		}
		if err := r.End(); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%v", err)
		}
	})
}
