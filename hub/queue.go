package hub

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weir-iot/weir/telemetry"
)

// A CloudMessage is a cloud-to-device message.
type CloudMessage struct {
	MessageID, CorrelationID, UserID string
	To                               string // /devices/{id}/messages/devicebound; set by the queue where empty
	ContentType, Encoding            string
	Ack                              string // "none" or "", "positive", "negative", "full": which FeedbackRecords it leaves
	Properties                       telemetry.Properties
	Body                             []byte
	Enqueued, Expires                time.Time // Enqueued is set by the queue; Expires where it is zero
	Sequence                         int64     // set by the queue, as the two below
	LockToken                        string
	DeliveryCount                    int // how often it was abandoned
}

// A queue is what is in memory of a device's cloud-to-device messages:
// everything but properties and bodies. A queue without messages does not exist.
type queue struct {
	device string

	mu    sync.Mutex
	gone  bool    // removed from its shard: look again
	items []*item // in order of sequence
}

// An item is one message. It waits, or it is locked by holder while that
// session lives, or by nobody's session until a time.
type item struct {
	sequence          int64
	enqueued, expires time.Time
	abandoned         int
	ack               string
	messageID         string
	generation        string // of the device when it was enqueued

	token  string // "": it waits
	holder *Session
	until  time.Time // of a lock without holder
}

// locked also lets go of a lock whose time is over.
func (i *item) locked(now time.Time) bool {
	if i.token != "" && i.holder == nil && !now.Before(i.until) {
		i.unlock()
	}
	return i.token != ""
}

func (i *item) lock(holder *Session, until time.Time) {
	i.token, i.holder, i.until = rand.Text(), holder, until
}

func (i *item) unlock() { i.token, i.holder, i.until = "", nil, time.Time{} }

func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// openQueue returns the queue of a device, locked; nil if there is none and
// create is false. Every use ends in closeQueue.
func (h *Hub) openQueue(device string, create bool) *queue {
	sh := h.shard(device)
	for {
		sh.mu.Lock()
		q := sh.queues[device]
		if q == nil && create {
			q = &queue{device: device}
			if sh.queues == nil {
				sh.queues = map[string]*queue{}
			}
			sh.queues[device] = q
		}
		sh.mu.Unlock()
		if q == nil {
			return nil
		}
		q.mu.Lock()
		if !q.gone {
			return q
		}
		q.mu.Unlock()
	}
}

// closeQueue unlocks q and removes it if it is empty.
func (h *Hub) closeQueue(q *queue) {
	defer q.mu.Unlock()
	if len(q.items) > 0 || q.gone {
		return
	}
	q.gone = true
	sh := h.shard(q.device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.queues, q.device)
}

// SendToDevice queues a cloud-to-device message durably, and hands it out if
// the device listens. ErrQueueFull, ErrDeviceNotFound, ErrArgument, ErrTooLarge.
func (h *Hub) SendToDevice(ctx context.Context, id ID, m *CloudMessage) error {
	if id.Module != "" {
		return ErrArgument.With("modules have no cloud-to-device messages")
	}
	now := h.stamp()
	c, err := h.checkCloudMessage(m, id, now)
	if err != nil {
		return err
	}
	l := h.lock(id.Device)
	l.RLock() // so that the device is not deleted between
	defer l.RUnlock()
	d, _, err := h.identity(ctx, id)
	if err != nil {
		return err
	}
	q := h.openQueue(id.Device, true)
	defer h.closeQueue(q)
	if err := h.expire(ctx, q, now); err != nil {
		return err
	}
	if len(q.items) >= h.limits.QueueDepth {
		return ErrQueueFull.With("the device has %d cloud-to-device messages waiting", len(q.items))
	}
	c.Sequence = h.sequence.Add(1)
	entry, err := encodeMessage(id.Device, d.GenerationID, c)
	if err != nil {
		return h.failure("encoding a message", id, err)
	}
	if err := h.registry.Write(ctx, PutEntry{entry}); err != nil {
		return h.failure("writing a message", id, err)
	}
	q.items = append(q.items, newItem(c, d.GenerationID))
	h.metrics.cloud.WithLabelValues("enqueued").Inc()
	if err := h.deliverQueue(ctx, q); err != nil {
		h.logger.Warn("handing out a message failed; it stays in the queue", "device", id.Device, "error", err)
	}
	return nil
}

func newItem(m *CloudMessage, generation string) *item {
	return &item{
		sequence: m.Sequence, enqueued: m.Enqueued, expires: m.Expires,
		abandoned: m.DeliveryCount, ack: m.Ack, messageID: m.MessageID, generation: generation,
	}
}

// checkCloudMessage returns a copy of m as it is queued.
func (h *Hub) checkCloudMessage(m *CloudMessage, id ID, now time.Time) (*CloudMessage, error) {
	c := *m
	c.Ack = cmp.Or(c.Ack, "none")
	if !slices.Contains([]string{"none", "positive", "negative", "full"}, c.Ack) {
		return nil, ErrArgument.With("ack must be none, positive, negative or full")
	}
	size := len(c.Body) + len(c.MessageID) + len(c.CorrelationID) + len(c.UserID) + len(c.ContentType) + len(c.Encoding)
	for _, p := range c.Properties {
		size += len(p.Key) + len(p.Value)
	}
	if size > h.limits.CloudMessage {
		return nil, ErrTooLarge.With("the message has %d bytes, %d are allowed", size, h.limits.CloudMessage)
	}
	if c.Expires.IsZero() {
		c.Expires = now.Add(h.limits.QueueTTL)
	}
	if c.Expires.After(now.Add(h.limits.QueueMaxTTL)) {
		return nil, ErrArgument.With("the message would wait longer than %v", h.limits.QueueMaxTTL)
	}
	c.To = cmp.Or(c.To, "/devices/"+id.Device+"/messages/devicebound")
	c.Enqueued, c.LockToken, c.DeliveryCount = now, "", 0
	return &c, nil
}

// PurgeQueue removes the waiting messages of a device and returns how many.
func (h *Hub) PurgeQueue(ctx context.Context, deviceID string) (int, error) {
	if _, _, err := h.identity(ctx, ID{Device: deviceID}); err != nil {
		return 0, err
	}
	q := h.openQueue(deviceID, false)
	if q == nil {
		return 0, nil
	}
	defer h.closeQueue(q)
	now := h.stamp()
	return h.drop(ctx, q, outcomePurged, func(i *item) bool { return !i.locked(now) })
}

// expire drops what waits beyond its time. q is locked.
func (h *Hub) expire(ctx context.Context, q *queue, now time.Time) error {
	_, err := h.drop(ctx, q, outcomeExpired, func(i *item) bool { return !i.locked(now) && !now.Before(i.expires) })
	return err
}

// drop removes those items for good, with their feedback. q is locked.
func (h *Hub) drop(ctx context.Context, q *queue, o outcome, which func(*item) bool) (int, error) {
	if !slices.ContainsFunc(q.items, which) {
		return 0, nil
	}
	var changes []Change
	var records []feedbackItem
	dropped := map[*item]bool{}
	for _, i := range q.items {
		if !which(i) {
			continue
		}
		dropped[i] = true
		changes = append(changes, DropEntry{q.device, i.sequence})
		if entry, record, ok := h.newFeedback(q.device, i, o); ok {
			changes = append(changes, PutEntry{entry})
			records = append(records, record)
		}
	}
	if err := h.registry.Write(ctx, changes...); err != nil {
		return 0, h.failure("removing messages", ID{Device: q.device}, err)
	}
	q.items = slices.DeleteFunc(q.items, func(i *item) bool { return dropped[i] })
	h.feedback.add(records)
	h.metrics.cloud.WithLabelValues(o.code).Add(float64(len(dropped)))
	return len(dropped), nil
}

// sweepQueues does what time alone brings: messages expire, and those whose
// lock is over are handed out again.
func (h *Hub) sweepQueues(ctx context.Context, now time.Time) {
	for i := range h.shards {
		for _, device := range h.shards[i].queued() {
			q := h.openQueue(device, false)
			if q == nil {
				continue
			}
			err := h.expire(ctx, q, now)
			if err == nil {
				err = h.deliverQueue(ctx, q)
			}
			h.closeQueue(q)
			if err != nil && ctx.Err() == nil {
				h.logger.Warn("sweeping a queue failed", "device", device, "error", err)
			}
		}
	}
}

func (sh *shard) queued() (devices []string) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for device := range sh.queues {
		devices = append(devices, device)
	}
	return devices
}

// loadQueues reads what a former process left. It runs before anything else.
func (h *Hub) loadQueues(ctx context.Context) error {
	last := h.now().UnixMicro() // sequences grow across restarts, also where every queue was empty
	for e, err := range h.registry.Entries(ctx, AllQueues, 0) {
		if err != nil {
			return err
		}
		last = max(last, e.Sequence)
		if e.Queue == FeedbackQueue {
			err = h.feedback.load(e)
		} else {
			err = h.loadMessage(e)
		}
		if err != nil {
			return fmt.Errorf("entry %d of %q: %w", e.Sequence, e.Queue, err)
		}
	}
	h.sequence.Store(last)
	return nil
}

func (h *Hub) loadMessage(e Entry) error {
	m, generation, err := decodeMessage(e)
	if err != nil {
		return err
	}
	q := h.openQueue(e.Queue, true)
	q.items = append(q.items, newItem(m, generation))
	h.closeQueue(q)
	return nil
}
