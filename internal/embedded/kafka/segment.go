package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	batchHeader = 61   // bytes before the records of a batch
	indexEntry  = 15   // bytes of kfake's index for one batch
	txnBits     = 0x30 // of the attributes: part of a transaction, or its end
)

// batch is the place of a batch in its segment and what it covers.
type batch struct {
	pos, size   int
	first, last int64 // offsets
	epoch       int32
	attributes  int16
	firstTime   int64
	maxTime     int64
	records     int32
}

// batchHead reads the head of a batch, unchecked, and how long it says it is.
func batchHead(at []byte) (b batch, size int64) {
	size = 12 + int64(int32(binary.BigEndian.Uint32(at[8:])))
	b = batch{
		size: int(size), first: int64(binary.BigEndian.Uint64(at)),
		epoch: int32(binary.BigEndian.Uint32(at[12:])), attributes: int16(binary.BigEndian.Uint16(at[21:])),
		firstTime: int64(binary.BigEndian.Uint64(at[27:])), maxTime: int64(binary.BigEndian.Uint64(at[35:])),
		records: int32(binary.BigEndian.Uint32(at[57:])),
	}
	b.last = b.first + int64(int32(binary.BigEndian.Uint32(at[23:])))
	return b, size
}

// batchAt reads the batch at pos; ok is false when none stands there whole.
func batchAt(raw []byte, pos int) (b batch, ok bool) {
	if pos < 0 || len(raw)-pos < batchHeader {
		return batch{}, false
	}
	at := raw[pos:]
	b, size := batchHead(at)
	if size < batchHeader || size > int64(len(at)) || at[16] != 2 {
		return batch{}, false
	}
	if b.first < 0 || b.last < b.first || checksum(at[21:size]) != binary.BigEndian.Uint32(at[17:]) {
		return batch{}, false
	}
	b.pos = pos
	return b, true
}

// batchAfter looks behind pos for the next whole batch that continues the log
// after offset next, with or without a gap.
func batchAfter(raw []byte, pos int, next int64) (batch, bool) {
	for pos++; pos <= len(raw)-batchHeader; pos++ {
		if raw[pos+16] != 2 {
			continue
		}
		if first := int64(binary.BigEndian.Uint64(raw[pos:])); first < next || first > next+1<<40 {
			continue
		}
		if b, ok := batchAt(raw, pos); ok {
			return b, true
		}
	}
	return batch{}, false
}

func checksum(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

// seal fills in length and checksum of b and appends it to dst.
func seal(dst []byte, b *kmsg.RecordBatch) []byte {
	start := len(dst)
	dst = b.AppendTo(dst)
	binary.BigEndian.PutUint32(dst[start+8:], uint32(len(dst)-start-12))
	binary.BigEndian.PutUint32(dst[start+17:], checksum(dst[start+21:]))
	return dst
}

// filler appends batches without records that cover the offsets first to last,
// so that none is given out again.
func filler(dst []byte, first, last int64, epoch int32, at int64) []byte {
	const most = 1 << 30
	for first <= last {
		end := min(last, first+most-1)
		dst = seal(dst, &kmsg.RecordBatch{
			FirstOffset: first, PartitionLeaderEpoch: epoch, Magic: 2, LastOffsetDelta: int32(end - first),
			FirstTimestamp: at, MaxTimestamp: at, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		})
		first = end + 1
	}
	return dst
}

// index is kfake's index of these batches. All it holds follows from them.
func index(batches []batch) []byte {
	raw := make([]byte, 0, len(batches)*indexEntry)
	for _, b := range batches {
		var e [indexEntry]byte
		e[0] = 1 // version of the form
		binary.LittleEndian.PutUint32(e[2:], uint32(b.epoch))
		binary.LittleEndian.PutUint64(e[6:], uint64(b.maxTime))
		if b.attributes&txnBits == 0x10 {
			e[14] = 1
		}
		e[1] = byte(checksum(e[2:]))
		raw = append(raw, e[:]...)
	}
	return raw
}

// indexFits reports whether an index has a whole entry for each batch.
func indexFits(raw []byte, batches int) bool {
	if len(raw) < batches*indexEntry {
		return false
	}
	for i := range batches {
		e := raw[i*indexEntry:][:indexEntry]
		if byte(checksum(e[2:])) != e[1] {
			return false
		}
	}
	return true
}

// replace writes a file anew: after a crash the old one is there or the new
// one. kfake clears .tmp away when it opens the folder.
func replace(path string, data []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
