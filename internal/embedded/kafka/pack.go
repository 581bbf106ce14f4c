package kafka

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"os"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// packBatchBytes is how many bytes of records a batch of a pack gathers before
	// they are compressed. One batch costs packEntry bytes of memory and is what a
	// reader reads at least.
	packBatchBytes = 256 << 10
	// packFileBytes is where a pack ends and the next one begins: as much is built
	// in memory.
	packFileBytes = 8 << 20
	// maxBatch bounds what is believed of a batch's length, above all that topics
	// allow.
	maxBatch = 64 << 20
	// compressionBits of a batch's attributes say how its records are compressed.
	compressionBits = 0x07
)

// errTransaction is why a segment is not packed: which of its records count is
// known to kfake alone.
var errTransaction = errors.New("the segment holds records of transactions")

// entry is a record without what its batch says of it.
type entry struct {
	offset, time int64
	attributes   byte
	rest         []byte // key, value and headers, as they stand in the batch
}

// merges says whether the records of b can stand in another batch and mean the
// same. What else the attributes say would be lost with the batch, and a batch
// without records covers offsets that none may have again.
func (b batch) merges() bool { return b.attributes&^compressionBits == 0 && b.records > 0 }

// entries calls each with every record of the batch raw, in order.
func entries(raw []byte, b batch, codec kgo.Decompressor, each func(entry)) error {
	bad := func(err error) error { return fmt.Errorf("records of the batch at offset %d: %w", b.first, err) }
	left, err := codec.Decompress(raw[batchHeader:], kgo.CompressionCodecType(b.attributes&compressionBits))
	if err != nil {
		return bad(err)
	}
	for range b.records {
		length, n := binary.Varint(left)
		if n <= 0 || length < 1 || length > int64(len(left)-n) {
			return bad(io.ErrUnexpectedEOF)
		}
		record := left[n : n+int(length)]
		left = left[n+int(length):]
		time, n := binary.Varint(record[1:])
		if n <= 0 {
			return bad(io.ErrUnexpectedEOF)
		}
		offset, m := binary.Varint(record[1+n:])
		if m <= 0 {
			return bad(io.ErrUnexpectedEOF)
		}
		each(entry{offset: b.first + offset, time: b.firstTime + time, attributes: record[0], rest: record[1+n+m:]})
	}
	if len(left) > 0 {
		return bad(errors.New("bytes behind the last record"))
	}
	return nil
}

// packer makes large batches of small ones. Every record keeps its offset, time,
// key, value and headers. Producer and sequence are left out: kfake takes what it
// knows of producers from elsewhere, also when it starts.
type packer struct {
	compress   kgo.Compressor
	decompress kgo.Decompressor
	buf        bytes.Buffer

	out       []byte // whole batches
	next      int64  // the offset after them and after what is gathered
	head      batch  // of the gathered records; its first, epoch, times and count
	records   []byte // gathered, not compressed yet
	sum       sum    // of everything added since reset
	body      []byte // scratch
	seed      maphash.Seed
	fileBytes int // packFileBytes, less in tests
}

func newPacker() (*packer, error) {
	c, err := kgo.DefaultCompressor(kgo.ZstdCompression(), kgo.NoCompression())
	if err != nil {
		return nil, err
	}
	return &packer{compress: c, decompress: kgo.DefaultDecompressor(), seed: maphash.MakeSeed(), fileBytes: packFileBytes}, nil
}

// reset begins a new pack.
func (p *packer) reset() {
	p.out, p.records, p.head, p.sum = p.out[:0], p.records[:0], batch{}, newSum(p.seed)
}

// add appends a batch. What cannot be merged is copied as it is.
func (p *packer) add(raw []byte, b batch) error {
	if b.attributes&txnBits != 0 {
		return errTransaction
	}
	if !b.merges() {
		p.flush()
		p.sum.raw(raw)
		p.out, p.next = append(p.out, raw...), b.last+1
		return nil
	}
	if p.head.records > 0 && (p.head.epoch != b.epoch || b.last-p.head.first > math.MaxInt32) {
		p.flush()
	}
	if err := entries(raw, b, p.decompress, func(e entry) { p.sum.entry(e); p.gather(e, b) }); err != nil {
		return err
	}
	p.next = b.last + 1
	if len(p.records) >= packBatchBytes {
		p.flush()
	}
	return nil
}

func (p *packer) gather(e entry, b batch) {
	if p.head.records == 0 {
		p.head = batch{first: b.first, epoch: b.epoch, firstTime: e.time, maxTime: e.time}
	}
	p.head.records++
	p.head.maxTime = max(p.head.maxTime, e.time)
	p.body = append(p.body[:0], e.attributes)
	p.body = binary.AppendVarint(p.body, e.time-p.head.firstTime)
	p.body = binary.AppendVarint(p.body, e.offset-p.head.first)
	p.records = binary.AppendVarint(p.records, int64(len(p.body)+len(e.rest)))
	p.records = append(append(p.records, p.body...), e.rest...)
}

// flush makes a batch of what is gathered.
func (p *packer) flush() {
	if p.head.records == 0 {
		return
	}
	p.buf.Reset()
	compressed, codec := p.compress.Compress(&p.buf, p.records)
	p.out = seal(p.out, &kmsg.RecordBatch{
		FirstOffset: p.head.first, PartitionLeaderEpoch: p.head.epoch, Magic: 2, Attributes: int16(codec),
		LastOffsetDelta: int32(p.next - 1 - p.head.first), FirstTimestamp: p.head.firstTime, MaxTimestamp: p.head.maxTime,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: p.head.records, Records: compressed,
	})
	p.records, p.head = p.records[:0], batch{}
}

// check reads the pack again as a reader would: every record that was added, in
// batches that cover the offsets from first on without a hole.
func (p *packer) check(first int64) error {
	again := newSum(p.seed)
	for pos := 0; pos < len(p.out); {
		b, ok := batchAt(p.out, pos)
		if !ok || b.first != first {
			return fmt.Errorf("BUG: the pack does not read at byte %d, offset %d", pos, first)
		}
		raw := p.out[pos : pos+b.size]
		if !b.merges() {
			again.raw(raw)
		} else if err := entries(raw, b, p.decompress, again.entry); err != nil {
			return fmt.Errorf("BUG: the pack does not read: %w", err)
		}
		first, pos = b.last+1, pos+b.size
	}
	if first != p.next || again.Sum64() != p.sum.Sum64() {
		return fmt.Errorf("BUG: the pack that ends at offset %d has other records than what it was made of", p.next)
	}
	return nil
}

// sum tells whether two sequences of records are the same.
type sum struct{ *maphash.Hash }

func newSum(seed maphash.Seed) sum {
	h := new(maphash.Hash)
	h.SetSeed(seed)
	return sum{h}
}

func (s sum) raw(p []byte) { _, _ = s.Write(p) }

func (s sum) entry(e entry) {
	var head [25]byte
	binary.BigEndian.PutUint64(head[:], uint64(e.offset))
	binary.BigEndian.PutUint64(head[8:], uint64(e.time))
	binary.BigEndian.PutUint64(head[16:], uint64(len(e.rest)))
	head[24] = e.attributes
	_, _ = s.Write(head[:])
	_, _ = s.Write(e.rest)
}

// eachBatch calls each with every batch of a file, whose bytes are valid until
// it returns. Anything that is no whole batch is an error.
func eachBatch(path string, each func(raw []byte, b batch) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	var raw []byte
	for pos := int64(0); ; pos += int64(len(raw)) {
		head, err := in.Peek(12)
		if err == io.EOF && len(head) == 0 {
			return nil
		}
		size := int64(math.MaxInt64)
		if err == nil {
			size = 12 + int64(int32(binary.BigEndian.Uint32(head[8:])))
		}
		if size < batchHeader || size > maxBatch {
			return fmt.Errorf("byte %d of %s: no whole batch: %w", pos, path, ErrDamaged)
		}
		raw = slices.Grow(raw[:0], int(size))[:size]
		if _, err := io.ReadFull(in, raw); err != nil {
			return fmt.Errorf("byte %d of %s: no whole batch: %w", pos, path, errors.Join(err, ErrDamaged))
		}
		b, ok := batchAt(raw, 0)
		if !ok || b.size != len(raw) {
			return fmt.Errorf("byte %d of %s: no whole batch: %w", pos, path, ErrDamaged)
		}
		if err := each(raw, b); err != nil {
			return err
		}
	}
}
