package hub

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A FeedbackRecord says what became of a cloud-to-device message. Its JSON form
// is that of application/vnd.microsoft.iothub.feedback.json.
type FeedbackRecord struct {
	OriginalMessageID  string    `json:"originalMessageId"`
	EnqueuedTimeUTC    time.Time `json:"enqueuedTimeUtc"` // of the record
	StatusCode         string    `json:"statusCode"`      // Success, Expired, DeliveryCountExceeded, Rejected or Purged
	Description        string    `json:"description"`
	DeviceID           string    `json:"deviceId"`
	DeviceGenerationID string    `json:"deviceGenerationId"`
}

// A FeedbackBatch is up to 64 records, locked for 60 s by LockToken. The body
// that services expect is Records as JSON.
type FeedbackBatch struct {
	LockToken string
	Enqueued  time.Time // of the oldest record
	Records   []FeedbackRecord
}

// A batch is full, or its oldest record has waited this long.
const (
	feedbackBatch = 64
	feedbackWait  = 15 * time.Second
)

// An outcome is how a message left its queue.
type outcome struct {
	code, description string
	positive          bool
}

var (
	outcomeSuccess       = outcome{"Success", "Success", true}
	outcomeExpired       = outcome{"Expired", "Message expired", false}
	outcomeDeliveryCount = outcome{"DeliveryCountExceeded", "Message delivery count exceeded", false}
	outcomeRejected      = outcome{"Rejected", "Message rejected", false}
	outcomePurged        = outcome{"Purged", "Message purged", false}
)

// wanted says whether a message with that ack leaves a record.
func (o outcome) wanted(ack string) bool {
	return ack == "full" || o.positive && ack == "positive" || !o.positive && ack == "negative"
}

// feedbackQueue is what is in memory of the hub's feedback records.
type feedbackQueue struct {
	mu    sync.Mutex
	items []feedbackItem // in order of sequence, nearly: writers race
}

type feedbackItem struct {
	sequence int64
	enqueued time.Time
	token    string // "": it waits
	until    time.Time
}

func (f *feedbackQueue) add(items []feedbackItem) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.items = append(f.items, items...)
}

func (f *feedbackQueue) load(e Entry) error {
	var r FeedbackRecord
	if err := json.Unmarshal(e.Data, &r); err != nil {
		return err
	}
	f.add([]feedbackItem{{sequence: e.Sequence, enqueued: r.EnqueuedTimeUTC}})
	return nil
}

// newFeedback is the record that i leaves, if it leaves one.
func (h *Hub) newFeedback(device string, i *item, o outcome) (Entry, feedbackItem, bool) {
	if !o.wanted(i.ack) {
		return Entry{}, feedbackItem{}, false
	}
	now := h.stamp()
	data, err := json.Marshal(FeedbackRecord{
		OriginalMessageID: i.messageID, EnqueuedTimeUTC: now, StatusCode: o.code, Description: o.description,
		DeviceID: device, DeviceGenerationID: i.generation,
	})
	if err != nil { // a time beyond the year 9999
		h.logger.Error("encoding a feedback record failed", "device", device, "error", err)
		return Entry{}, feedbackItem{}, false
	}
	sequence := h.sequence.Add(1)
	return Entry{FeedbackQueue, sequence, data}, feedbackItem{sequence: sequence, enqueued: now}, true
}

// Feedback locks and returns the next batch of feedback records for 60 s, nil
// if there is none: 64 records, or as many as there are when the oldest has
// waited for 15 s. SettleFeedback removes it (complete) or returns it.
func (h *Hub) Feedback(ctx context.Context) (*FeedbackBatch, error) {
	now := h.now()
	token, first := h.feedback.lock(now, now.Add(h.limits.QueueLock))
	if token == "" {
		return nil, nil
	}
	b := &FeedbackBatch{LockToken: token}
	for e, err := range h.registry.Entries(ctx, FeedbackQueue, first) {
		var r FeedbackRecord
		if err == nil && !h.feedback.holds(token, e.Sequence) {
			continue
		}
		if err == nil {
			err = json.Unmarshal(e.Data, &r)
		}
		if err != nil {
			h.feedback.unlock(token)
			return nil, h.failure("reading feedback", ID{}, err)
		}
		b.Records = append(b.Records, r)
		if len(b.Records) == feedbackBatch {
			break
		}
	}
	if len(b.Records) == 0 {
		h.feedback.unlock(token)
		return nil, h.failure("reading feedback", ID{}, fmt.Errorf("record %d is not in the registry", first))
	}
	b.Enqueued = b.Records[0].EnqueuedTimeUTC
	return b, nil
}

// lock locks up to a batch, and returns its token and its lowest sequence.
func (f *feedbackQueue) lock(now, until time.Time) (token string, first int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ready []*feedbackItem
	for n := range f.items {
		i := &f.items[n]
		if i.token != "" && now.Before(i.until) {
			continue
		}
		i.token = ""
		if ready = append(ready, i); len(ready) == feedbackBatch {
			break
		}
	}
	if len(ready) == 0 || len(ready) < feedbackBatch && now.Before(ready[0].enqueued.Add(feedbackWait)) {
		return "", 0
	}
	token, first = rand.Text(), ready[0].sequence
	for _, i := range ready {
		i.token, i.until = token, until
		first = min(first, i.sequence)
	}
	return token, first
}

func (f *feedbackQueue) holds(token string, sequence int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.items, func(i feedbackItem) bool { return i.sequence == sequence && i.token == token })
}

func (f *feedbackQueue) unlock(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := range f.items {
		if f.items[n].token == token {
			f.items[n].token = ""
		}
	}
}

// those returns the sequences of the items that which names.
func (f *feedbackQueue) those(which func(n int, i feedbackItem) bool) (sequences []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n, i := range f.items {
		if which(n, i) {
			sequences = append(sequences, i.sequence)
		}
	}
	return sequences
}

// remove drops entries for good.
func (h *Hub) removeFeedback(ctx context.Context, sequences []int64) error {
	var changes []Change
	for _, sequence := range sequences {
		changes = append(changes, DropEntry{FeedbackQueue, sequence})
	}
	if err := h.registry.Write(ctx, changes...); err != nil {
		return h.failure("removing feedback", ID{}, err)
	}
	gone := make(map[int64]bool, len(sequences))
	for _, sequence := range sequences {
		gone[sequence] = true
	}
	h.feedback.mu.Lock()
	defer h.feedback.mu.Unlock()
	h.feedback.items = slices.DeleteFunc(h.feedback.items, func(i feedbackItem) bool { return gone[i.sequence] })
	return nil
}

// SettleFeedback: see Feedback. ErrLockLost.
func (h *Hub) SettleFeedback(ctx context.Context, lockToken string, complete bool) error {
	now := h.now()
	held := h.feedback.those(func(_ int, i feedbackItem) bool {
		return lockToken != "" && i.token == lockToken && now.Before(i.until)
	})
	if len(held) == 0 {
		return ErrLockLost
	}
	if !complete {
		h.feedback.unlock(lockToken)
		return nil
	}
	return h.removeFeedback(ctx, held)
}

// sweepFeedback drops what nobody fetched in time, and what is too much.
func (h *Hub) sweepFeedback(ctx context.Context, now time.Time) {
	h.feedback.mu.Lock()
	excess := len(h.feedback.items) - h.limits.FeedbackDepth
	h.feedback.mu.Unlock()
	old := h.feedback.those(func(n int, i feedbackItem) bool {
		return n < excess || !now.Before(i.enqueued.Add(h.limits.FeedbackTTL))
	})
	if len(old) == 0 {
		return
	}
	if err := h.removeFeedback(ctx, old); err != nil {
		if ctx.Err() == nil {
			h.logger.Warn("removing old feedback failed", "error", err)
		}
		return
	}
	h.metrics.feedbacks.Add(float64(len(old)))
}
