package lake

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Snapshot is one version of a table. It does not change.
type Snapshot struct {
	Version int64

	protocol protocol
	meta     metaData
	schema   *schema
	files    map[string]*File  // by path
	removed  map[string]remove // by path: what older versions may still need
	txns     map[string]txn    // by application
}

// A File is a Parquet file of a snapshot.
type File struct {
	Path  string    // in the table's folder
	Day   time.Time // UTC; zero if the table's partition columns are others
	Rows  int64
	Bytes int64

	add    add
	bounds bounds
}

// Columns returns the table's columns, of primitive types, in their order.
func (s *Snapshot) Columns() []Column { return s.schema.columns() }

// Files returns the files, the oldest day first, and by path within a day.
func (s *Snapshot) Files() []*File {
	return slices.SortedFunc(maps.Values(s.files), func(a, b *File) int {
		if c := a.Day.Compare(b.Day); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
}

// Committed returns the version that app wrote last: the sequence number of its
// last row in the table.
func (s *Snapshot) Committed(app string) (version int64, ok bool) {
	t, ok := s.txns[app]
	return t.Version, ok
}

// apply returns the snapshot that a commit makes of s.
func (s *Snapshot) apply(version int64, actions []action) (*Snapshot, error) {
	n := &Snapshot{
		Version: version, protocol: s.protocol, meta: s.meta, schema: s.schema,
		files: maps.Clone(s.files), removed: maps.Clone(s.removed), txns: maps.Clone(s.txns),
	}
	for i := range actions {
		if err := n.take(&actions[i]); err != nil {
			return nil, fmt.Errorf("version %d: %w", version, err)
		}
	}
	return n, nil
}

func emptySnapshot() *Snapshot {
	return &Snapshot{Version: -1, files: map[string]*File{}, removed: map[string]remove{}, txns: map[string]txn{}}
}

func (s *Snapshot) take(a *action) (err error) {
	switch {
	case a.Protocol != nil:
		s.protocol = *a.Protocol
		if s.protocol.MinReaderVersion > 1 {
			return fmt.Errorf("%w: it needs reader version %d, this is 1", ErrProtocol, s.protocol.MinReaderVersion)
		}
	case a.MetaData != nil:
		s.meta = *a.MetaData
		s.schema, err = parseSchema(s.meta.SchemaString)
	case a.Txn != nil:
		s.txns[a.Txn.AppID] = *a.Txn
	case a.Add != nil:
		var f *File
		if f, err = newFile(a.Add); err == nil {
			s.files[f.Path] = f
			delete(s.removed, f.Path)
		}
	case a.Remove != nil:
		var path string
		if path, err = decodePath(a.Remove.Path); err == nil {
			delete(s.files, path)
			s.removed[path] = *a.Remove
		}
	}
	return err
}

// check says whether the table can be read as one, and written by this package.
func (s *Snapshot) check() error {
	if s.schema == nil || s.protocol.MinReaderVersion == 0 {
		return fmt.Errorf("%w: version %d of the log has no schema or no protocol", ErrCorrupt, s.Version)
	}
	if s.meta.Format.Provider != "parquet" {
		return fmt.Errorf("%w: files of format %q", ErrProtocol, s.meta.Format.Provider)
	}
	return nil
}

// writable says why this package must not write to the table.
func (s *Snapshot) writable() error {
	if s.protocol.MinWriterVersion > 2 {
		return fmt.Errorf("%w: it needs writer version %d, this is 2", ErrProtocol, s.protocol.MinWriterVersion)
	}
	if !slices.Equal(s.meta.PartitionColumns, partitionColumns) {
		return fmt.Errorf("%w: it is partitioned by %q, not by %q", ErrProtocol, s.meta.PartitionColumns, partitionColumns)
	}
	return s.schema.writable()
}

// forget drops the removed files that were removed before a time.
func (s *Snapshot) forget(before time.Time) {
	maps.DeleteFunc(s.removed, func(_ string, r remove) bool { return r.DeletionTimestamp < before.UnixMilli() })
}

func newFile(a *add) (*File, error) {
	path, err := decodePath(a.Path)
	if err != nil {
		return nil, err
	}
	f := &File{Path: path, Bytes: a.Size, add: *a, Day: dayOf(a.PartitionValues)}
	if f.bounds, err = parseBounds(a.Stats); err != nil {
		return nil, err
	}
	f.Rows = f.bounds.NumRecords
	return f, nil
}

// decodePath decodes a path of the log, and refuses what is outside the table.
func decodePath(encoded string) (string, error) {
	path, err := url.PathUnescape(encoded)
	if err != nil || path == "" || path[0] == '/' || strings.Contains(path, "://") {
		return "", fmt.Errorf("%w: path %q of a file: relative paths only", ErrProtocol, encoded)
	}
	return path, nil
}

func dayOf(values map[string]string) time.Time {
	var n [3]int
	for i, name := range partitionColumns {
		var err error
		if n[i], err = strconv.Atoi(values[name]); err != nil {
			return time.Time{}
		}
	}
	return time.Date(n[0], time.Month(n[1]), n[2], 0, 0, 0, 0, time.UTC)
}

func partitionValues(day time.Time) map[string]string {
	return map[string]string{
		Year: strconv.Itoa(day.Year()), Month: strconv.Itoa(int(day.Month())), Day: strconv.Itoa(day.Day()),
	}
}
