package disk

import "time"

// Stats is the state of a log, for /healthz and metrics.
type Stats struct {
	Level      string
	Segments   int
	Bytes      int64     // of all segment files, what is preallocated included
	Waiting    int64     // bytes that wait for the disk
	Oldest     time.Time // no record that is kept is older
	Newest     time.Time // of the newest durable record, or what readers were promised
	Partitions []PartitionStats

	DamagedBytes   int64 // set aside since Open
	DamagedRecords int64 // missing, as far as sequence numbers tell
	CutBytes       int64 // of a group that a crash cut short, at Open
	CutRecords     int64 // in it; 0 where that could not be read

	Withheld string // why acknowledgements wait, or ""
	Failed   error  // why the log stopped for good, or nil
}

// PartitionStats are sequence numbers.
type PartitionStats struct {
	Oldest int64 // of the oldest record that is kept
	Next   int64 // behind the newest durable record
}

// Stats returns the state of the log.
func (l *Log) Stats() Stats {
	s := Stats{Level: l.opts.Level.String()}
	l.mu.Lock()
	s.Waiting, s.Failed = l.waiting, l.failed
	l.mu.Unlock()
	l.pub.Lock()
	defer l.pub.Unlock()
	s.Segments, s.Bytes = len(l.segs), l.bytes
	s.Oldest, s.Newest = microTime(l.segs[0].floor), microTime(l.time)
	for p, next := range l.durable {
		s.Partitions = append(s.Partitions, PartitionStats{Oldest: l.segs[0].base[p], Next: next})
	}
	s.DamagedBytes, s.DamagedRecords = l.found.bytes, l.found.records
	s.CutBytes, s.CutRecords = l.found.cut, l.found.torn
	s.Withheld = l.why
	return s
}
