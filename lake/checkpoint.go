package lake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/internal/failpoint"
)

// A checkpointRow is a row of a V1 checkpoint: an action of the snapshot (Delta
// protocol, "Checkpoint Schema").
type checkpointRow struct {
	Txn      *txn      `parquet:"txn,optional"`
	Add      *add      `parquet:"add,optional"`
	Remove   *remove   `parquet:"remove,optional"`
	MetaData *metaData `parquet:"metaData,optional"`
	Protocol *protocol `parquet:"protocol,optional"`
}

// lastCheckpoint is what _last_checkpoint holds.
type lastCheckpoint struct {
	Version int64 `json:"version"`
	Size    int64 `json:"size"` // actions
	Parts   int   `json:"parts,omitempty"`
}

const lastCheckpointName = logFolder + "_last_checkpoint"

func checkpointNames(c lastCheckpoint) []string {
	if c.Parts == 0 {
		return []string{fmt.Sprintf("%s%020d.checkpoint.parquet", logFolder, c.Version)}
	}
	names := make([]string, c.Parts)
	for i := range names {
		names[i] = fmt.Sprintf("%s%020d.checkpoint.%010d.%010d.parquet", logFolder, c.Version, i+1, c.Parts)
	}
	return names
}

func (t *Table) checkpointDue(s *Snapshot) bool {
	return s.Version > 0 && s.Version%t.opts.CheckpointEvery == 0
}

// checkpoint writes a checkpoint of s. Without it the log is read from further
// back, so that a failure is reported, but is none of the commit's.
func (t *Table) checkpoint(ctx context.Context, s *Snapshot) {
	if err := t.writeCheckpoint(ctx, s); err != nil {
		t.logger.Warn("lake: no checkpoint of the log", "version", s.Version, "error", err)
	}
}

func (t *Table) writeCheckpoint(ctx context.Context, s *Snapshot) error {
	rows := s.actions()
	c := lastCheckpoint{Version: s.Version, Size: int64(len(rows))}
	_, err := t.put(ctx, checkpointNames(c)[0], func(w io.Writer) error {
		p := parquet.NewGenericWriter[checkpointRow](w, parquet.Compression(&parquet.Snappy),
			parquet.DefaultEncoding(&parquet.Plain), parquet.DataPageVersion(1)) // Spark misreads others
		if _, err := p.Write(rows); err != nil {
			return err
		}
		return p.Close()
	})
	if err != nil {
		return err
	}
	failpoint.Hit("lake-after-checkpoint")
	hint, err := json.Marshal(c)
	if err == nil {
		err = t.bucket.Put(ctx, t.root+lastCheckpointName, bytes.NewReader(hint))
	}
	return err
}

// actions returns what makes up s.
func (s *Snapshot) actions() []checkpointRow {
	rows := []checkpointRow{{Protocol: &s.protocol}, {MetaData: &s.meta}}
	for _, app := range slices.Sorted(maps.Keys(s.txns)) {
		t := s.txns[app]
		rows = append(rows, checkpointRow{Txn: &t})
	}
	for _, f := range s.Files() {
		a := f.add
		a.DataChange = false
		rows = append(rows, checkpointRow{Add: &a})
	}
	for _, path := range slices.Sorted(maps.Keys(s.removed)) {
		r := s.removed[path]
		r.DataChange = false
		rows = append(rows, checkpointRow{Remove: &r})
	}
	return rows
}

// fromCheckpoint returns the snapshot of the last checkpoint, or the empty one.
func (t *Table) fromCheckpoint(ctx context.Context) (*Snapshot, error) {
	c, err := t.findCheckpoint(ctx)
	if err != nil || c.Version < 0 {
		return emptySnapshot(), err
	}
	s := emptySnapshot()
	for _, name := range checkpointNames(c) {
		if err := t.readCheckpoint(ctx, name, s); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	s.Version = c.Version
	return s, nil
}

// findCheckpoint reads the hint; where it is missing or damaged the folder is
// listed, since the log before a checkpoint may be cleaned away.
func (t *Table) findCheckpoint(ctx context.Context) (lastCheckpoint, error) {
	c := lastCheckpoint{Version: -1}
	data, _, err := blob.Read(ctx, t.bucket, t.root+lastCheckpointName)
	if err == nil && json.Unmarshal(data, &c) == nil {
		return c, nil
	}
	if err != nil && !errors.Is(err, blob.ErrNotExist) {
		return c, err
	}
	c = lastCheckpoint{Version: -1}
	for name, err := range t.bucket.List(ctx, t.root+logFolder) {
		if err != nil {
			return c, err
		}
		name = strings.TrimPrefix(name, t.root)
		var v int64
		if _, err := fmt.Sscanf(name, logFolder+"%020d.checkpoint.parquet", &v); err == nil && name == checkpointNames(lastCheckpoint{Version: v})[0] {
			c.Version = v
		}
	}
	return c, nil
}

func (t *Table) readCheckpoint(ctx context.Context, name string, s *Snapshot) (err error) {
	o, err := t.bucket.Open(ctx, t.root+name)
	if err != nil {
		return err
	}
	defer o.Close()
	defer func() { // the library panics on some damaged files
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrCorrupt, p)
		}
	}()
	f, err := parquet.OpenFile(o, o.Size())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	r := parquet.NewGenericReader[checkpointRow](f)
	defer r.Close()
	for {
		rows := make([]checkpointRow, 128)
		n, err := r.Read(rows)
		for i := range rows[:n] {
			row := &rows[i]
			a := action{Txn: row.Txn, Add: row.Add, Remove: row.Remove, MetaData: row.MetaData, Protocol: row.Protocol}
			if err := s.take(&a); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
}
