// Package statecodec is the one way in which folds write the values of their
// state and read them back: a sequence of fields without names, in the order in
// which the fold's encoder puts them.
//
//	unsigned   uvarint
//	signed     zigzag varint
//	text       its length as uvarint, then its bytes
//	float      8 bytes, IEEE 754, little endian; never NaN
//	bool       one byte, 0 or 1
//
// What is stored is read by later builds: a change of a field here is a change
// of every fold's Logic. The package knows no fold and no schema.
package statecodec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrDamaged is wrapped by every error about stored bytes. Nothing is wrong
// with the log: the state can be put back from a backup, or built anew.
var ErrDamaged = errors.New("the state is damaged: put its folder back from a backup, or move it away (docs/runbook.md)")

// What can be wrong with stored bytes; each wraps ErrDamaged.
var (
	ErrShort = fmt.Errorf("%w: cut short", ErrDamaged)
	ErrExtra = fmt.Errorf("%w: bytes left over", ErrDamaged)
	ErrRange = fmt.Errorf("%w: value out of range", ErrDamaged)
)

// AppendUint appends an unsigned number.
func AppendUint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

// AppendInt appends a signed number.
func AppendInt(b []byte, v int64) []byte { return binary.AppendVarint(b, v) }

// AppendText appends s after its length.
func AppendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// AppendFloat appends f, which must not be NaN: no state needs one.
func AppendFloat(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}

// AppendBool appends one byte.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// Reader takes a value apart. The first mistake sticks: every later read gives
// zero, and End returns the mistake. Slices that it gives are parts of the value
// it reads.
type Reader struct {
	b   []byte
	err error
}

// NewReader reads b, which must not change meanwhile.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Format reads the byte that names a value's layout, which must be want.
func (r *Reader) Format(want byte) {
	if v := r.Take(1); len(v) == 1 && v[0] != want {
		r.Fail(ErrRange)
	}
}

// Uint reads what AppendUint wrote.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.Fail(ErrShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Int reads what AppendInt wrote.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.Fail(ErrShort)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Count reads how many items of at least size bytes each follow, so that a
// damaged number cannot ask for more memory than the value could fill.
func (r *Reader) Count(size int) int {
	n := r.Uint()
	if n > uint64(len(r.b)/size) {
		r.Fail(ErrShort)
		return 0
	}
	return int(n)
}

// Take reads n bytes as they are, nil if there are fewer.
func (r *Reader) Take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.Fail(ErrShort)
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

// Bytes reads bytes after their length, as AppendText writes them.
func (r *Reader) Bytes() []byte { return r.Take(r.Uint()) }

// Text reads what AppendText wrote.
func (r *Reader) Text() string { return string(r.Bytes()) }

// Bool reads what AppendBool wrote.
func (r *Reader) Bool() bool {
	v := r.Take(1)
	if len(v) == 1 && v[0] > 1 {
		r.Fail(ErrRange)
		return false
	}
	return len(v) == 1 && v[0] == 1
}

// Float reads what AppendFloat wrote.
func (r *Reader) Float() float64 {
	v := r.Take(8)
	if v == nil {
		return 0
	}
	f := math.Float64frombits(binary.LittleEndian.Uint64(v))
	if math.IsNaN(f) {
		r.Fail(ErrRange)
		return 0
	}
	return f
}

// Fail notes a mistake that the caller found, unless there is an earlier one. err
// should wrap ErrDamaged.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

// Err is the first mistake so far.
func (r *Reader) Err() error { return r.err }

// End returns the first mistake; bytes left over count as one.
func (r *Reader) End() error {
	if len(r.b) > 0 {
		r.Fail(ErrExtra)
	}
	return r.err
}
