package stream

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-iot/weir/saql"
)

// JobStats is how a job does. Counts are since it was made.
type JobStats struct {
	Shards int
	Events int64 // rows that came in
	Rows   int64 // rows that came out
	// Early, Late and OutOfOrder are events beyond the policy, dropped or
	// adjusted; Dropped are the dropped ones of them.
	Early, Late, OutOfOrder, Dropped int64
	Undecoded                        int64 // bodies and elements that are no rows
	DeadLetters                      int64
	EventsPerSecond, RowsPerSecond   float64 // over the last ten seconds
	// Watermark: all events before it are processed, in all shards; the zero time
	// is nothing yet. Delay is how far it is behind the clock.
	Watermark  time.Time
	Delay      time.Duration
	StateBytes int       // of the newest checkpoints
	Checkpoint time.Time // when the oldest of them was made; the zero time is none
	Feeds      []FeedStats
	// LastError is the latest failure, nil after the success of what had failed.
	LastError error
}

// FeedStats is how far one partition of an input is read.
type FeedStats struct {
	Input     string
	Partition int
	Read      int64 // the last record, -1 for none
	Watermark time.Time
}

// jobStats is what Stats shows.
type jobStats struct {
	now         func() time.Time
	rows        atomic.Int64
	deadLetters atomic.Int64

	mu      sync.Mutex
	shards  []*shardStats
	past    ingestCounts // of runs before this one
	events  meter
	made    meter
	counted int64 // rows in made
	err     error
	failing map[attempt]error
}

type shardStats struct {
	feeds  []FeedStats
	marks  []saql.Ticks
	counts []ingestCounts
	mark   saql.Ticks
	size   int
	saved  time.Time
}

// An attempt is what a shard does that may fail for a while.
type attempt struct {
	doing string
	shard int
}

// A meter counts by second, for the rate of the last ten.
type meter struct {
	second int64
	counts [11]int64
}

func (m *meter) add(now time.Time, n int64) {
	m.turn(now)
	m.counts[m.second%int64(len(m.counts))] += n
}

func (m *meter) turn(now time.Time) {
	second := now.Unix()
	if second-m.second >= int64(len(m.counts)) {
		m.counts = [11]int64{}
	} else {
		for s := m.second + 1; s <= second; s++ {
			m.counts[s%int64(len(m.counts))] = 0
		}
	}
	m.second = max(m.second, second)
}

// rate is that of the ten whole seconds before this one.
func (m *meter) rate(now time.Time) float64 {
	m.turn(now)
	var sum int64
	for i, n := range m.counts {
		if int64(i) != m.second%int64(len(m.counts)) {
			sum += n
		}
	}
	return float64(sum) / float64(len(m.counts)-1)
}

// took counts a run that the shard begins with.
func (j *jobStats) took(s *shard, feed int, r *run) {
	j.mu.Lock()
	defer j.mu.Unlock()
	st := j.shards[s.index]
	j.events.add(j.now(), r.counts.rows-st.counts[feed].rows)
	st.counts[feed], st.marks[feed] = r.counts, r.mark
	st.feeds[feed].Read = r.read
}

// advanced notes how far the shard has come.
func (j *jobStats) advanced(s *shard) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.shards[s.index].mark = s.pump.advanced
	rows := j.rows.Load()
	j.made.add(j.now(), rows-j.counted)
	j.counted = rows
}

// begin keeps the counts of the run before, and begins with these shards.
func (j *jobStats) begin(shards []*shard) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, st := range j.shards {
		for _, c := range st.counts {
			j.past.add(c)
		}
	}
	j.shards, j.err = nil, nil
	for _, s := range shards {
		st := &shardStats{counts: make([]ingestCounts, len(s.feeds)), marks: make([]saql.Ticks, len(s.feeds))}
		for i, f := range s.feeds {
			st.feeds = append(st.feeds, FeedStats{Input: s.job.plans[f.input].Alias, Partition: f.partition, Read: s.resumes[i].after})
		}
		j.shards = append(j.shards, st)
	}
}

func (j *jobStats) saved(shard, size int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.shards[shard].size, j.shards[shard].saved = size, j.now()
}

// failed notes what ended the job.
func (j *jobStats) failed(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = err
}

// trouble notes a failure and reports whether it is news: no shard failed on the
// same in the same way.
func (j *jobStats) trouble(a attempt, err error) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	news := true
	for other, old := range j.failing {
		news = news && (other.doing != a.doing || old.Error() != err.Error())
	}
	if j.failing == nil {
		j.failing = make(map[attempt]error)
	}
	j.failing[a] = err
	return news
}

func (j *jobStats) recovered(a attempt) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.failing, a)
}

// failure is the first of what fails now, by its name.
func (j *jobStats) failure() error {
	var first attempt
	for a := range j.failing {
		if j.failing[first] == nil || a.doing < first.doing || a.doing == first.doing && a.shard < first.shard {
			first = a
		}
	}
	return j.failing[first]
}

func (c *ingestCounts) add(o ingestCounts) {
	c.messages += o.messages
	c.rows += o.rows
	c.skipped += o.skipped
	c.undecoded += o.undecoded
	c.early += o.early
	c.late += o.late
	c.outOfOrder += o.outOfOrder
	c.dropped += o.dropped
}

// Stats returns how the job does.
func (j *Job) Stats() JobStats {
	t := &j.stats
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	s := JobStats{
		Shards: len(t.shards), Rows: t.rows.Load(), DeadLetters: t.deadLetters.Load(), LastError: t.err,
		EventsPerSecond: t.events.rate(now), RowsPerSecond: t.made.rate(now),
	}
	counts := t.past
	var mark saql.Ticks
	for i, st := range t.shards {
		for k, c := range st.counts {
			counts.add(c)
			st.feeds[k].Watermark = instant(st.marks[k])
		}
		s.Feeds = append(s.Feeds, st.feeds...)
		s.StateBytes += st.size
		if i == 0 || st.mark < mark {
			mark = st.mark
		}
		if i == 0 || st.saved.Before(s.Checkpoint) {
			s.Checkpoint = st.saved
		}
	}
	s.Events, s.Early, s.Late, s.OutOfOrder = counts.rows, counts.early, counts.late, counts.outOfOrder
	s.Dropped, s.Undecoded = counts.dropped, counts.undecoded
	if s.Watermark = instant(mark); !s.Watermark.IsZero() {
		s.Delay = max(0, now.Sub(s.Watermark))
	}
	if s.LastError == nil {
		s.LastError = t.failure()
	}
	s.Feeds = slices.Clone(s.Feeds)
	return s
}

// instant is a watermark as a time, the zero time if there is none.
func instant(t saql.Ticks) time.Time {
	if t <= 0 {
		return time.Time{}
	}
	return t.Time()
}

// jitter spreads waits, so that not all jobs come at the same moment.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
