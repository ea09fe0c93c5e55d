package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

const (
	livePath  = "/live"
	heartbeat = 15 * time.Second // a comment, so that proxies and clients see a quiet stream is alive
	// maxFilters bounds the devices and properties of one tail's filter.
	maxFilters = 100
	// idEvery is the most events without an id: what may come again after a
	// lost connection.
	idEvery = 64
	// maxNews is the most devices whose newest message one interval shows.
	maxNews = 500
)

// liveInput is the query of GET /live. Property filters have names that no
// schema knows; Resolve collects them.
type liveInput struct {
	Device     []string `query:"device,explode" maxItems:"100" doc:"Only these devices"`
	Partition  []int    `query:"partition,explode" maxItems:"256" doc:"Only these partitions"`
	From       moment   `query:"from" doc:"Begin with what arrived at that moment or later: RFC 3339 or seconds since 1970. Default: now"`
	Every      int      `query:"every" minimum:"100" maximum:"60000" doc:"Milliseconds. Instead of every message: per interval the newest message of each device, then an event \"rate\" with counts"`
	After      string   `query:"after" maxLength:"8192" doc:"Continue behind this event id"`
	LastID     string   `header:"Last-Event-ID" maxLength:"8192" doc:"As after: what a browser sends when it reconnects"`
	properties map[string]string
	place      place
}

// Resolve implements huma.Resolver.
func (in *liveInput) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	in.properties = map[string]string{}
	for key, values := range u.Query() {
		if name, ok := strings.CutPrefix(key, "property."); ok {
			in.properties[name] = values[0]
		}
	}
	var errs []error
	if len(in.properties) > maxFilters {
		errs = append(errs, &huma.ErrorDetail{Location: "query.property", Message: fmt.Sprintf("at most %d properties", maxFilters)})
	}
	id, where := in.LastID, "header.Last-Event-ID"
	if id == "" {
		id, where = in.After, "query.after"
	}
	var err error
	if in.place, err = parsePlace(id); err != nil {
		errs = append(errs, &huma.ErrorDetail{Location: where, Message: err.Error()})
	}
	return errs
}

func (s *server) registerLive() {
	huma.Register(s.huma, huma.Operation{
		OperationID: "live", Method: http.MethodGet, Path: livePath,
		Summary: "Live tail of the log as server-sent events", Tags: []string{"live"},
		Description: "Events are named message, rate, gap (retention removed what the tail had not read yet, or the id is of another log) or error. " +
			"An application property p is filtered by the query parameter property.p=value. " +
			"An event id names a place in every partition (partition-seq, joined by dots, and when the tail began); a client " +
			"that reconnects with Last-Event-ID misses nothing and may see up to 64 events again: partition and seq tell them.",
		Errors: []int{http.StatusTooManyRequests},
		Responses: map[string]*huma.Response{"200": {
			Description: "The events",
			Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}},
	}, s.live)
}

func (s *server) live(ctx context.Context, in *liveInput) (*huma.StreamResponse, error) {
	n, err := s.Log.Partitions(ctx)
	if err != nil {
		return nil, s.fail(ctx, "reading the log", err)
	}
	from, err := in.positions(n)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		if !s.openTail(hc) {
			return
		}
		defer s.closeTail()
		_, w := humago.Unwrap(hc)
		t := &tail{server: s, filter: in.filter(), every: time.Duration(in.Every) * time.Millisecond, from: from,
			events: events{place: s.startOf(in, from)}, w: w, ctl: http.NewResponseController(w)}
		t.run(hc.Context())
	}}, nil
}

// openTail counts a tail, or answers that there are too many.
func (s *server) openTail(hc huma.Context) bool {
	select {
	case s.tails <- struct{}{}:
		return true
	default:
		_ = huma.WriteErr(s.huma, hc, http.StatusTooManyRequests, fmt.Sprintf("%d live tails are open already: close one or raise the limit", cap(s.tails)))
		return false
	}
}

func (s *server) closeTail() { <-s.tails }

// positions says where to begin in a log of n partitions. A filter by device
// reads the partitions of those devices alone.
func (in *liveInput) positions(n int) (eventlog.Positions, error) {
	want := map[int]bool{}
	for _, p := range in.Partition {
		if p < 0 || p >= n {
			return nil, fmt.Errorf("query.partition: there is no partition %d; the log has 0 to %d", p, n-1)
		}
		want[p] = true
	}
	start := eventlog.Latest()
	if in.place.since > 0 {
		start = eventlog.At(time.UnixMilli(in.place.since))
	} else if !in.From.IsZero() {
		start = eventlog.At(in.From.Time)
	}
	devices := map[int]bool{}
	for _, d := range in.Device {
		devices[eventlog.Partition(d, n)] = true
	}
	from := eventlog.Positions{}
	for p := range n {
		if len(want) > 0 && !want[p] || len(devices) > 0 && !devices[p] {
			continue
		}
		from[p] = start
		if seq, ok := in.place.after[p]; ok {
			from[p] = eventlog.After(seq)
		}
	}
	if len(from) == 0 {
		return nil, errors.New("query.partition: none of the devices is in one of the partitions")
	}
	return from, nil
}

// filter returns what tells the messages that a tail shows.
func (in *liveInput) filter() func(*telemetry.Message) bool {
	devices, properties := in.Device, in.properties
	return func(m *telemetry.Message) bool {
		if len(devices) > 0 && !slices.Contains(devices, m.DeviceID) {
			return false
		}
		for k, want := range properties {
			if got, ok := m.Properties.Get(k); !ok || got != want {
				return false
			}
		}
		return true
	}
}

// startOf is the place of a tail that has read nothing yet: its first id.
func (s *server) startOf(in *liveInput, from eventlog.Positions) place {
	p := place{after: map[int]int64{}, since: in.place.since}
	if p.since == 0 {
		p.since = s.Now().UnixMilli()
		if !in.From.IsZero() {
			p.since = in.From.UnixMilli()
		}
	}
	for partition, pos := range from {
		if pos.Kind == eventlog.KindAfter {
			p.after[partition] = pos.Seq
		}
	}
	return p
}

// A tail is one client's live tail. One goroutine follows the log, the
// handler's own writes. Between them lies one chunk: a client that does not
// read stops its own tail's reading, then loses the connection, and nothing else.
type tail struct {
	*server
	filter func(*telemetry.Message) bool
	every  time.Duration // 0: every message
	from   eventlog.Positions
	events events
	w      http.ResponseWriter
	ctl    *http.ResponseController
}

// streamHead tells a client that the stream is open, and when to come again.
const streamHead = ": weir live tail\nretry: 2000\n\n"

// begin sends the first bytes of a stream; false: the client is gone.
func (t *tail) begin(b []byte) bool {
	h := t.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	return t.write(b)
}

func (t *tail) run(ctx context.Context) {
	t.events.buf.WriteString(streamHead)
	if !t.begin(t.events.take()) {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	chunks := make(chan []byte, 1)
	send := func(b []byte) bool {
		if len(b) == 0 {
			return ctx.Err() == nil
		}
		select {
		case chunks <- b:
			return true
		case <-ctx.Done():
			return false
		}
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(chunks)
		if t.every > 0 {
			t.condense(ctx, send)
		} else {
			t.follow(ctx, send)
		}
	})
	defer reading.Wait()
	defer cancel()
	t.pump(ctx, chunks)
}

// pump writes chunks until they end, ctx does, or the client is gone.
func (t *tail) pump(ctx context.Context, chunks <-chan []byte) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		b := []byte(": still here\n\n")
		select {
		case c, ok := <-chunks:
			if !ok {
				return
			}
			b = c
		case <-beat.C:
		case <-ctx.Done():
			return
		}
		if !t.write(b) {
			return
		}
	}
}

// write sends b at once; false: the client is gone or does not read.
func (t *tail) write(b []byte) bool {
	_ = t.ctl.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every writer has deadlines (tests)
	_, err := t.w.Write(b)
	if err == nil {
		err = t.ctl.Flush()
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.metrics.slow.Inc()
	}
	return err == nil
}

// follow sends every message that the filter shows.
func (t *tail) follow(ctx context.Context, send func([]byte) bool) {
	for again := true; again; {
		err := t.read(ctx, func(b eventlog.Batch) bool {
			for i := range b.Messages {
				m := &b.Messages[i]
				if t.filter(m) {
					t.events.message(m, 0)
				}
				t.events.place.after[b.Partition] = m.Seq
				if t.events.full() && !send(t.events.take()) {
					return false
				}
			}
			return send(t.events.take())
		})
		again = t.resume(err)
		if !send(t.events.take()) {
			return
		}
	}
}

// condense sends per interval what is new, instead of every message.
func (t *tail) condense(ctx context.Context, send func([]byte) bool) {
	ctx, cancel := context.WithCancel(ctx)
	var mu sync.Mutex // guards t.events and interval
	interval := news{began: t.Now(), newest: map[string]*newest{}}
	ended := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(ended)
		for again := true; again; {
			err := t.read(ctx, func(b eventlog.Batch) bool {
				mu.Lock()
				defer mu.Unlock()
				interval.add(b.Messages, t.filter)
				if n := len(b.Messages); n > 0 {
					t.events.place.after[b.Partition] = b.Messages[n-1].Seq
				}
				return ctx.Err() == nil
			})
			mu.Lock()
			again = t.resume(err)
			mu.Unlock()
		}
	})
	defer reading.Wait()
	defer cancel()
	tick := time.NewTicker(t.every)
	defer tick.Stop()
	for last := false; !last; {
		select {
		case <-tick.C:
		case <-ended:
			last = true
		case <-ctx.Done():
			return
		}
		mu.Lock()
		interval.flush(&t.events, t.every)
		b := t.events.take()
		mu.Unlock()
		if !send(b) {
			return
		}
	}
}

// read follows the log from where the tail is until use returns false.
func (t *tail) read(ctx context.Context, use func(eventlog.Batch) bool) error {
	for b, err := range t.Log.Read(ctx, t.from, nil) {
		if err != nil {
			return err
		}
		if n := len(b.Messages); n > 0 {
			t.from[b.Partition] = eventlog.After(b.Messages[n-1].Seq)
		}
		if !use(b) {
			return nil
		}
	}
	return nil
}

// resume tells whether to read on after err, and tells the client why its
// stream ends or has a gap.
func (t *tail) resume(err error) bool {
	var trimmed eventlog.ErrTrimmed
	var ahead eventlog.ErrAhead
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, eventlog.ErrClosed):
		return false
	case errors.As(err, &trimmed):
		t.jump(trimmed.Partition, trimmed.Oldest)
		return true
	case errors.As(err, &ahead): // the id is of a log that is no more
		t.jump(ahead.Partition, ahead.Next)
		return true
	default:
		t.Logger.Error("live tail stopped", "error", err)
		t.events.event("error", map[string]string{"detail": "the log can no longer be read: the node's log says why"})
		return false
	}
}

// jump goes on with the record next of a partition, and tells the client.
func (t *tail) jump(partition int, next int64) {
	t.events.event("gap", gap{partition, next})
	t.from[partition] = eventlog.After(next - 1)
	delete(t.events.place.after, partition)
	if next > 0 {
		t.events.place.after[partition] = next - 1
	}
}
