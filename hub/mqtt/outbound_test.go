package mqtt

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
)

// A slow link that moves is not one that stands still, however much waits.
func TestSlowLinkIsNotStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(nil, Options{})
		a, b := net.Pipe()
		defer func() { _ = b.Close() }()
		c := newConn(s, a, origin{})
		c.ctx, c.cancel = context.WithCancel(t.Context())
		c.silence = maxSilence
		c.touch()
		s.wheel.insert(c, c.silence)
		const size = 20 * writeSize
		c.reply(func(out []byte) []byte { return append(out, make([]byte, size)...) })
		part := make([]byte, writeSize)
		for range size / writeSize {
			for range stallTimeout - 1 {
				s.wheel.advance()
			}
			if _, err := io.ReadFull(b, part); err != nil {
				t.Fatalf("%v, cause %q", err, c.cause)
			}
			synctest.Wait()
		}
		c.flushed()
		c.kill(causeClient)
		s.wg.Wait()
	})
}

// A panic while a packet is made does not keep the lock that the wheel, the
// log and the hub take too.
func TestPanicKeepsNoLock(t *testing.T) {
	c := newConn(NewServer(nil, Options{}), nil, origin{})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		c.reply(func([]byte) []byte { panic("a bug") })
	}()
	if !c.mu.TryLock() {
		t.Fatal("locked for ever")
	}
	c.mu.Unlock()
}
