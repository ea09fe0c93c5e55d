package stream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/internal/failpoint"
	"github.com/weir-iot/weir/saql"
)

// A checkpoint is all that one shard of a job needs to go on: it is one object
// of the bucket, and made of what the rows depend on alone.
//
// The object is the magic "weirckp1", the length of the header (4 bytes, big
// endian), the header as JSON, the instance's state, and the CRC-32C of all
// that before it (4 bytes).
type checkpoint struct {
	Number      int64              `json:"number"` // grows by one
	Fingerprint string             `json:"fingerprint"`
	Version     string             `json:"version"` // of the job that makes the rows behind it
	Shard       int                `json:"shard"`
	Feeds       []checkpointFeed   `json:"feeds"` // by rank
	Done        checkpointEvent    `json:"done"`  // all events up to it are processed
	Advanced    saql.Ticks         `json:"advanced"`
	Muted       *cut               `json:"muted,omitempty"`
	Next        map[string]Ordinal `json:"next"` // by output: of the row that comes next
	// Has is by output the highest ordinal that it has: rows behind it were refused.
	Has map[string]Ordinal `json:"has"`

	state []byte
}

// A checkpointFeed is where to read a feed again.
type checkpointFeed struct {
	Input     int          `json:"input"`
	Partition int          `json:"partition"`
	After     int64        `json:"after"`
	Newest    saql.Ticks   `json:"newest"`
	Over      []overNewest `json:"over,omitempty"`
}

type overNewest struct {
	Key    []byte     `json:"key"`
	Newest saql.Ticks `json:"newest"`
}

// A checkpointEvent is a progress.
type checkpointEvent struct {
	At    saql.Ticks `json:"at"`
	Rank  int        `json:"rank"`
	Seq   int64      `json:"seq"`
	Index int        `json:"index"`
}

func (p progress) event() checkpointEvent { return checkpointEvent{p.at, p.rank, p.seq, p.index} }

func (e checkpointEvent) progress() progress { return progress{e.At, e.Rank, e.Seq, e.Index} }

func (f feedPlan) checkpoint(at resume) checkpointFeed {
	c := checkpointFeed{Input: f.input, Partition: f.partition, After: at.after, Newest: at.newest}
	for _, key := range slices.Sorted(maps.Keys(at.over)) {
		c.Over = append(c.Over, overNewest{[]byte(key), at.over[key]})
	}
	return c
}

func (c checkpointFeed) resume() resume {
	at := resume{after: c.After, newest: c.Newest, over: make(map[string]saql.Ticks, len(c.Over))}
	for _, o := range c.Over {
		at.over[string(o.Key)] = o.Newest
	}
	return at
}

const checkpointMagic = "weirckp1"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (c *checkpoint) encode() ([]byte, error) {
	header, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, len(checkpointMagic)+8+len(header)+len(c.state)), checkpointMagic...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(header)))
	b = append(append(b, header...), c.state...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

var errCheckpoint = errors.New("stream: the checkpoint is damaged")

func decodeCheckpoint(b []byte) (*checkpoint, error) {
	const frame = len(checkpointMagic) + 8
	if len(b) < frame || string(b[:len(checkpointMagic)]) != checkpointMagic {
		return nil, errCheckpoint
	}
	body, sum := b[:len(b)-4], b[len(b)-4:]
	n := uint64(binary.BigEndian.Uint32(b[len(checkpointMagic):]))
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(sum) || n > uint64(len(b)-frame) {
		return nil, errCheckpoint
	}
	rest := body[len(checkpointMagic)+4:]
	c := &checkpoint{state: rest[n:]}
	if err := json.Unmarshal(rest[:n], c); err != nil {
		return nil, fmt.Errorf("%w: %w", errCheckpoint, err)
	}
	return c, nil
}

// checkpoints are those of one shard: two objects, of which the older is
// replaced, so that there is always one before the newest.
type checkpoints struct {
	bucket   blob.Bucket
	name     string // of the objects, less a letter
	versions [2]blob.Version
	number   int64 // of the newest
	size     int   // its bytes
}

func newCheckpoints(bucket blob.Bucket, job string, generation, shard int) *checkpoints {
	return &checkpoints{bucket: bucket, name: fmt.Sprintf("%s%06d/%04d-", stateFolder(job), generation, shard)}
}

func stateFolder(job string) string { return "jobs/" + job + "/state/" }

func (s *checkpoints) object(number int64) string { return s.name + string("ab"[number%2]) }

// load returns the checkpoints that can be read, newest first.
func (s *checkpoints) load(ctx context.Context) (all []*checkpoint, err error) {
	for slot := range int64(2) {
		data, version, err := blob.Read(ctx, s.bucket, s.object(slot))
		if errors.Is(err, blob.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.versions[slot] = version
		c, err := decodeCheckpoint(data)
		if err != nil {
			continue // the other one is good, or the job begins anew
		}
		s.number, s.size = max(s.number, c.Number), len(data)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *checkpoint) int { return cmp.Compare(b.Number, a.Number) })
	return all, nil
}

// mine finds out whether a checkpoint that another one seems to have replaced is
// there: a try before may have succeeded and yet returned an error.
func (s *checkpoints) mine(ctx context.Context, number int64, data []byte, changed error) (blob.Version, error) {
	there, version, err := blob.Read(ctx, s.bucket, s.object(number))
	if err != nil || !bytes.Equal(there, data) {
		return blob.Absent, changed
	}
	return version, nil
}

// save makes c the newest. It fails with blob.ErrChanged if somebody else runs
// the shard.
func (s *checkpoints) save(ctx context.Context, c *checkpoint) error {
	c.Number = s.number + 1
	data, err := c.encode()
	if err != nil {
		return err
	}
	failpoint.Hit("job/before-swap")
	version, err := s.bucket.Swap(ctx, s.object(c.Number), s.versions[c.Number%2], bytes.NewReader(data))
	if errors.Is(err, blob.ErrChanged) {
		version, err = s.mine(ctx, c.Number, data, err)
	}
	if err != nil {
		return err
	}
	failpoint.Hit("job/after-swap")
	s.number, s.versions[c.Number%2], s.size = c.Number, version, len(data)
	return nil
}
