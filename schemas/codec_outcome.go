package schemas

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// The outcomes of Pane and Rate are read and written by the list, field number
// by field number; every other field goes through the generated code. Protobuf
// allows that, because the wire form of a message is that of its fields one
// after the other.

// appendHistograms writes the histograms of list as packed sint64; one that is
// all zeros is left out.
func appendHistograms(b []byte, list []OutcomeInfo, hs []Histogram) []byte {
	for i := range list {
		h := &hs[i]
		if *h == (Histogram{}) {
			continue
		}
		size := 0
		for _, n := range h {
			size += protowire.SizeVarint(protowire.EncodeZigZag(n))
		}
		b = protowire.AppendTag(b, list[i].PaneField, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(size))
		for _, n := range h {
			b = protowire.AppendVarint(b, protowire.EncodeZigZag(n))
		}
	}
	return b
}

// takeHistograms reads the histograms of list out of b and returns what else
// there is. Each must have been written whole, in one field or in several.
func takeHistograms(b []byte, list []OutcomeInfo, hs []Histogram) (rest []byte, err error) {
	filled := make([]int, len(list))
	put := func(i int, v uint64) {
		if filled[i] < Buckets {
			hs[i][filled[i]] = protowire.DecodeZigZag(v)
		}
		filled[i]++
	}
	rest, err = takeFields(b, func(num protowire.Number, typ protowire.Type, value []byte) (bool, error) {
		i := 0
		for i < len(list) && list[i].PaneField != num {
			i++
		}
		switch {
		case i == len(list):
			return false, nil
		case typ == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(value)
			put(i, v)
			return true, nil
		case typ != protowire.BytesType:
			return false, nil
		}
		packed, _ := protowire.ConsumeBytes(value)
		for len(packed) > 0 {
			v, n := protowire.ConsumeVarint(packed)
			if n < 0 {
				return false, fmt.Errorf("%s: %w", list[i].Name, protowire.ParseError(n))
			}
			put(i, v)
			packed = packed[n:]
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	for i, n := range filled {
		if n != 0 && n != Buckets {
			return nil, fmt.Errorf("%s has %d buckets, want %d", list[i].Name, n, Buckets)
		}
	}
	return rest, nil
}

// appendTotals writes the counts of list as int64; zeros are left out.
func appendTotals(b []byte, list []OutcomeInfo, ns []int64) []byte {
	for i := range list {
		if ns[i] != 0 {
			b = protowire.AppendTag(b, list[i].RateField, protowire.VarintType)
			b = protowire.AppendVarint(b, uint64(ns[i]))
		}
	}
	return b
}

// takeTotals reads the counts of list out of b and returns what else there is.
func takeTotals(b []byte, list []OutcomeInfo, ns []int64) (rest []byte, err error) {
	return takeFields(b, func(num protowire.Number, typ protowire.Type, value []byte) (bool, error) {
		if typ != protowire.VarintType {
			return false, nil
		}
		for i := range list {
			if list[i].RateField == num {
				v, _ := protowire.ConsumeVarint(value)
				ns[i] = int64(v)
				return true, nil
			}
		}
		return false, nil
	})
}

// takeFields shows each field of b to take and returns those it did not take.
// Bytes that are not a field are returned too: the decoder of the rest says
// what is wrong with them.
func takeFields(b []byte, take func(num protowire.Number, typ protowire.Type, value []byte) (bool, error)) ([]byte, error) {
	rest := make([]byte, 0, len(b))
	for len(b) > 0 {
		num, typ, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			break
		}
		n := protowire.ConsumeFieldValue(num, typ, b[tag:])
		if n < 0 {
			break
		}
		taken, err := take(num, typ, b[tag:tag+n])
		if err != nil {
			return nil, err
		}
		if !taken {
			rest = append(rest, b[:tag+n]...)
		}
		b = b[tag+n:]
	}
	return append(rest, b...), nil
}
