package hub

import (
	"context"
	"errors"
	"time"
)

// deliver hands out what waits for a device that listens.
func (h *Hub) deliver(ctx context.Context, device string) error {
	q := h.openQueue(device, false)
	if q == nil {
		return nil
	}
	defer h.closeQueue(q)
	if err := h.expire(ctx, q, h.now()); err != nil {
		return err
	}
	return h.deliverQueue(ctx, q)
}

// deliverQueue does so with q locked, which keeps the order of messages.
func (h *Hub) deliverQueue(ctx context.Context, q *queue) error {
	s := h.session(ID{Device: q.device})
	if s == nil || !s.wants(FeedCloudToDevice) {
		return nil
	}
	now := h.now()
	for _, i := range q.items {
		if i.locked(now) || !now.Before(i.expires) {
			continue
		}
		m, _, err := h.readMessage(ctx, q.device, i)
		if err != nil {
			return err
		}
		i.lock(s, time.Time{})
		m.LockToken = i.token
		if !s.wants(FeedCloudToDevice) || !s.call(func(r Receiver) { r.CloudToDevice(m) }) {
			i.unlock()
			return nil
		}
	}
	return nil
}

// readMessage returns the message of i with its body.
func (h *Hub) readMessage(ctx context.Context, device string, i *item) (m *CloudMessage, generation string, err error) {
	for e, err := range h.registry.Entries(ctx, device, i.sequence) {
		if err == nil && e.Sequence != i.sequence {
			break
		}
		if err == nil {
			m, generation, err = decodeMessage(e)
		}
		if err != nil {
			return nil, "", h.failure("reading a message", ID{Device: device}, err)
		}
		m.DeliveryCount = i.abandoned
		return m, generation, nil
	}
	return nil, "", h.failure("reading a message", ID{Device: device}, errors.New("it is not in the registry"))
}

// release returns what s holds to the queue, and hands it to a session that
// took the place of s.
func (h *Hub) release(s *Session) {
	if s.receiver == nil || s.id.Module != "" {
		return
	}
	q := h.openQueue(s.id.Device, false)
	if q == nil {
		return
	}
	defer h.closeQueue(q)
	for _, i := range q.items {
		if i.holder == s {
			i.unlock()
		}
	}
	if err := h.deliverQueue(context.Background(), q); err != nil {
		h.logger.Warn("handing out a message failed; it stays in the queue", "device", q.device, "error", err)
	}
}

// Receive locks and returns the oldest waiting cloud-to-device message for 60 s,
// nil if there is none. The lock outlives the Session: any session of the same
// device may settle it.
func (s *Session) Receive(ctx context.Context) (*CloudMessage, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	if s.id.Module != "" {
		return nil, nil
	}
	q := s.hub.openQueue(s.id.Device, false)
	if q == nil {
		return nil, nil
	}
	defer s.hub.closeQueue(q)
	now := s.hub.now()
	if err := s.hub.expire(ctx, q, now); err != nil {
		return nil, err
	}
	for _, i := range q.items {
		if i.locked(now) {
			continue
		}
		m, _, err := s.hub.readMessage(ctx, q.device, i)
		if err != nil {
			return nil, err
		}
		i.lock(nil, now.Add(s.hub.limits.QueueLock))
		m.LockToken = i.token
		return m, nil
	}
	return nil, nil
}

// Complete removes a locked message; Reject dead-letters it; Abandon returns it
// to the queue. ErrLockLost if the lock is no longer held.
func (s *Session) Complete(ctx context.Context, lockToken string) error {
	return s.settle(ctx, lockToken, outcomeSuccess)
}

// Reject: see Complete.
func (s *Session) Reject(ctx context.Context, lockToken string) error {
	return s.settle(ctx, lockToken, outcomeRejected)
}

func (s *Session) settle(ctx context.Context, lockToken string, o outcome) error {
	q, i, err := s.find(lockToken)
	if err != nil {
		return err
	}
	defer s.hub.closeQueue(q)
	_, err = s.hub.drop(ctx, q, o, func(other *item) bool { return other == i })
	return err
}

// Abandon: see Complete. A message that was abandoned too often is
// dead-lettered instead.
func (s *Session) Abandon(ctx context.Context, lockToken string) error {
	q, i, err := s.find(lockToken)
	if err != nil {
		return err
	}
	h := s.hub
	defer h.closeQueue(q)
	if i.abandoned+1 >= h.limits.DeliveryCount {
		_, err := h.drop(ctx, q, outcomeDeliveryCount, func(other *item) bool { return other == i })
		return err
	}
	m, generation, err := h.readMessage(ctx, q.device, i)
	if err != nil {
		return err
	}
	m.DeliveryCount++
	entry, err := encodeMessage(q.device, generation, m)
	if err == nil {
		err = h.registry.Write(ctx, PutEntry{entry})
	}
	if err != nil {
		return h.failure("abandoning a message", s.id, err)
	}
	i.abandoned++
	i.unlock()
	return h.deliverQueue(ctx, q)
}

// find returns the message that s or a pull has locked by that token, and its
// queue, locked.
func (s *Session) find(lockToken string) (*queue, *item, error) {
	if err := s.alive(); err != nil {
		return nil, nil, err
	}
	if s.id.Module != "" || lockToken == "" {
		return nil, nil, ErrLockLost
	}
	q := s.hub.openQueue(s.id.Device, false)
	if q == nil {
		return nil, nil, ErrLockLost
	}
	now := s.hub.now()
	for _, i := range q.items {
		if i.locked(now) && i.token == lockToken && (i.holder == nil || i.holder == s) {
			return q, i, nil
		}
	}
	s.hub.closeQueue(q)
	return nil, nil, ErrLockLost
}
