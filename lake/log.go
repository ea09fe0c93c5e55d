package lake

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/internal/failpoint"
)

const (
	logFolder = "_delta_log/"
	engine    = "weir"
)

func versionName(version int64) string { return fmt.Sprintf("%s%020d.json", logFolder, version) }

// load reads the newest version, nil if there is no table.
func (t *Table) load(ctx context.Context) (*Snapshot, error) {
	s, err := t.fromCheckpoint(ctx)
	if err != nil {
		return nil, err
	}
	if s, err = t.refresh(ctx, s); err != nil || s.Version < 0 {
		return nil, err
	}
	return s, s.check()
}

// refresh applies the commits after s.
func (t *Table) refresh(ctx context.Context, s *Snapshot) (*Snapshot, error) {
	for {
		data, _, err := blob.Read(ctx, t.bucket, t.root+versionName(s.Version+1))
		if errors.Is(err, blob.ErrNotExist) {
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		actions, err := decodeActions(data)
		if err == nil {
			s, err = s.apply(s.Version+1, actions)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", versionName(s.Version+1), err)
		}
	}
}

// create commits version 0 of a new table, or reads that of who was faster.
func (t *Table) create(ctx context.Context) (*Snapshot, error) {
	meta := metaData{
		ID: newID(), Name: strings.TrimSuffix(t.root[strings.LastIndexByte(t.root[:len(t.root)-1], '/')+1:], "/"),
		Format:           format{Provider: "parquet", Options: map[string]string{}},
		SchemaString:     (&schema{}).with(baseColumns...).text(),
		PartitionColumns: partitionColumns,
		Configuration:    map[string]string{},
		CreatedTime:      t.opts.Now().UnixMilli(),
	}
	return t.commit(ctx, "CREATE TABLE", emptySnapshot(), func(s *Snapshot) ([]action, error) {
		if s.Version >= 0 {
			return nil, nil
		}
		return []action{{Protocol: &protocol{1, 2}}, {MetaData: &meta}}, nil
	})
}

// commit writes the version after s. build returns its actions, none if there
// is nothing to commit; it is called again, with the snapshot that the others
// made, for every race that is lost.
func (t *Table) commit(ctx context.Context, operation string, s *Snapshot, build func(*Snapshot) ([]action, error)) (*Snapshot, error) {
	for {
		actions, err := build(s)
		if err != nil || len(actions) == 0 {
			return s, err
		}
		info := &commitInfo{
			Timestamp: t.opts.Now().UnixMilli(), Operation: operation,
			OperationParameters: map[string]string{}, EngineInfo: engine,
		}
		actions = append([]action{{CommitInfo: info}}, actions...)
		data, err := encodeActions(actions)
		if err != nil {
			return nil, err
		}
		failpoint.Hit("lake-before-commit")
		_, err = t.bucket.Swap(ctx, t.root+versionName(s.Version+1), blob.Absent, bytes.NewReader(data))
		failpoint.Hit("lake-after-commit")
		switch {
		case err == nil:
			if s, err = s.apply(s.Version+1, actions); err != nil {
				return nil, err
			}
			if t.checkpointDue(s) {
				s.forget(t.opts.Now().Add(-2 * t.opts.DeletedFileRetention))
				t.checkpoint(ctx, s)
			}
			t.keep(s)
			return s, nil
		case !errors.Is(err, blob.ErrChanged):
			return nil, fmt.Errorf("committing version %d: %w", s.Version+1, err)
		}
		if s, err = t.refresh(ctx, s); err != nil {
			return nil, err
		}
		if err = s.check(); err != nil {
			return nil, err
		}
	}
}

// newID returns a UUID of version 7: it begins with the time.
func newID() string { return newIDAt(time.Now()) }

func newIDAt(now time.Time) string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	h := hex.EncodeToString(id[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// idTime returns the time that an id begins with.
func idTime(id string) (time.Time, bool) {
	h := strings.ReplaceAll(id, "-", "")
	if len(h) != 32 || h[12] != '7' {
		return time.Time{}, false
	}
	ms, err := strconv.ParseInt(h[:12], 16, 64)
	return time.UnixMilli(ms), err == nil
}

// fileName returns the path of a new data file: that of the article, with the
// time of its writing in the name, by which orphans are told from new files.
func (t *Table) fileName(day time.Time) string {
	return day.Format("year=2006/month=01/day=02/") + filePrefix + newIDAt(t.opts.Now()) + fileSuffix
}

const (
	filePrefix = "part-"
	fileSuffix = ".parquet"
)

// writtenAt returns when a file was written that this package named.
func writtenAt(path string) (time.Time, bool) {
	name, ok := strings.CutPrefix(path[strings.LastIndexByte(path, '/')+1:], filePrefix)
	if !ok || !strings.HasSuffix(name, fileSuffix) {
		return time.Time{}, false
	}
	return idTime(strings.TrimSuffix(name, fileSuffix))
}

// discard deletes files that no commit has; what it cannot delete is an orphan.
func (t *Table) discard(ctx context.Context, files []add) {
	for _, f := range files {
		if err := t.bucket.Delete(ctx, t.root+f.Path); err != nil {
			t.logger.Warn("lake: a file that is not in the table stays", "path", f.Path, "error", err)
		}
	}
}

// committedBefore reports whether a version was committed before a time; one
// without that information counts as new.
func (t *Table) committedBefore(ctx context.Context, name string, at time.Time) (bool, error) {
	data, _, err := blob.Read(ctx, t.bucket, name)
	if err != nil {
		return false, err
	}
	actions, err := decodeActions(data)
	for i := range actions {
		if info := actions[i].CommitInfo; info != nil && info.Timestamp > 0 {
			return info.Timestamp < at.UnixMilli(), nil
		}
	}
	return false, err
}
