package hub

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

// StampedProperties is how many elements Send appends to a message's System at
// most: a door that leaves that much capacity saves an allocation per message.
const StampedProperties = 3

// Send stamps the messages with the session's identity and appends them to the
// log, as eventlog.Appender does: done runs once, in call order, after they are
// durable or refused, with an *Error. Send blocks while the hub's byte budget or
// the log is full, which is what pushes back on devices; it fails at once when
// the session is closed. The log borrows msgs until done.
//
// Of each message Send sets DeviceID, ModuleID and Source, and appends to
// System who authenticated how; what the sender had put there under the same
// keys is removed. An empty System is replaced by a slice that is shared and
// must not be changed.
func (s *Session) Send(ctx context.Context, msgs []telemetry.Message, done func(error)) {
	if err := s.alive(); err != nil {
		done(err)
		return
	}
	size := 0
	for i := range msgs {
		m := &msgs[i]
		if len(m.Body) > s.hub.limits.MessageBody {
			s.hub.metrics.refused.Add(float64(len(msgs)))
			done(ErrTooLarge.With("the message has %d bytes, %d are allowed", len(m.Body), s.hub.limits.MessageBody))
			return
		}
		s.sign(m)
		size += m.Size()
	}
	taken, waited, err := s.hub.budget.take(ctx, int64(size))
	if waited {
		s.hub.metrics.full.Inc()
	}
	if err != nil {
		done(ErrUnavailable.With("given up while the hub was full"))
		return
	}
	p := s.hub.pending.Get().(*pendingSend)
	p.done, p.taken, p.count, p.size = done, taken, len(msgs), size
	p.append(ctx, msgs)
}

// sign says in m who sent it.
func (s *Session) sign(m *telemetry.Message) {
	m.DeviceID, m.ModuleID, m.Source = s.id.Device, s.id.Module, telemetry.Telemetry
	if slices.ContainsFunc(m.System, reserved) {
		m.System = slices.DeleteFunc(slices.Clone(m.System), reserved) // cloned: it may be the shared stamps of an earlier try
	}
	if len(m.System) == 0 && cap(m.System) < len(s.stamps) {
		m.System = s.stamps
		return
	}
	m.System = append(m.System, s.stamps...)
}

func reserved(p telemetry.Property) bool {
	return p.Key == telemetry.AuthMethod || p.Key == telemetry.GenerationID || p.Key == telemetry.DataSchema
}

// A pendingSend waits for the log. It is used again when both its users, Send
// and the log's callback, have let go.
type pendingSend struct {
	hub         *Hub
	finish      func(error) // p.finished, made once
	done        func(error)
	taken       int64
	count, size int
	users       atomic.Int32
	full        bool // the log had no room; set only while Append runs
}

func newPendingSend(h *Hub) *pendingSend {
	p := &pendingSend{hub: h}
	p.finish = p.finished
	return p
}

// fullWait is the first wait for a full log; it doubles up to fullWaitMax.
const (
	fullWait    = time.Millisecond
	fullWaitMax = 100 * time.Millisecond
)

// append tries until the log has room. A log's budget is its own, so the hub's
// may have room when it has none.
func (p *pendingSend) append(ctx context.Context, msgs []telemetry.Message) {
	for wait := fullWait; ; wait = min(2*wait, fullWaitMax) {
		p.full = false
		p.users.Store(2)
		p.hub.log.Append(msgs, p.finish)
		if !p.full {
			p.letGo()
			return
		}
		p.hub.metrics.full.Inc()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			p.users.Store(1)
			p.settle(ErrUnavailable.With("given up while the log was full"))
			return
		}
	}
}

// finished is what the log calls. With ErrFull it does so before Append returns.
func (p *pendingSend) finished(err error) {
	if errors.Is(err, eventlog.ErrFull) {
		p.full = true
		return
	}
	p.settle(err)
}

func (p *pendingSend) settle(err error) {
	p.hub.budget.give(p.taken)
	if err == nil {
		p.hub.metrics.messages.Add(float64(p.count))
		p.hub.metrics.bytes.Add(float64(p.size))
	} else {
		p.hub.metrics.refused.Add(float64(p.count))
	}
	done := p.done
	p.done = nil
	p.letGo()
	done(refusal(err))
}

func (p *pendingSend) letGo() {
	if p.users.Add(-1) == 0 {
		p.hub.pending.Put(p)
	}
}

// refusal is err as devices are told it.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, eventlog.ErrTooLarge) {
		return ErrTooLarge.With("%v", err)
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return ErrUnavailable.With("%v", err)
}
