package mqtt

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestSilence(t *testing.T) {
	for keepAlive, want := range map[uint16]int64{0: 1767, 1: 2, 60: 91, 180: 271, 1177: 1766, 1178: 1767, 65535: 1767} {
		if got := silence(keepAlive); got != want {
			t.Errorf("keep alive %d: %d s of silence, want %d", keepAlive, got, want)
		}
	}
}

// A silent connection ends after its time, not before, and each packet starts
// it anew; a write that makes no progress ends it too.
func TestWheel(t *testing.T) {
	for _, tt := range []struct {
		name    string
		silence int64
		packets []int64 // ticks at which one comes
		writing bool
		want    string
		at      int64
	}{
		{"silent", 91, nil, false, causeKeepAlive, 91},
		{"short", 2, nil, false, causeKeepAlive, 2},
		{"one packet", 91, []int64{50}, false, causeKeepAlive, 141},
		{"packets at the last moment", 91, []int64{90, 180, 270}, false, causeKeepAlive, 361},
		{"off, capped", 1767, nil, false, causeKeepAlive, 1767},
		{"write without progress", 271, []int64{30, 60}, true, causeStalled, 60},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewServer(nil, Options{})
			a, b := net.Pipe()
			defer func() { _ = b.Close() }()
			c := newConn(s, a, origin{})
			c.ctx, c.cancel = context.WithCancel(t.Context())
			c.silence, c.writing = tt.silence, tt.writing
			c.touch()
			s.wheel.insert(c, c.silence)
			for s.wheel.now.Load() < 4000 && c.cause == "" {
				s.wheel.advance()
				for _, at := range tt.packets {
					if at == s.wheel.now.Load() {
						c.touch()
					}
				}
			}
			s.wg.Wait()
			if c.cause != tt.want || s.wheel.now.Load() != tt.at {
				t.Errorf("%q at tick %d, want %q at %d", c.cause, s.wheel.now.Load(), tt.want, tt.at)
			}
		})
	}
}

// A connection that the server does not read, because the log or the disk is
// slow, is not a silent one; its time begins when it is read again.
func TestUnreadIsNotSilent(t *testing.T) {
	s := NewServer(nil, Options{})
	a, b := net.Pipe()
	defer func() { _ = b.Close() }()
	c := newConn(s, a, origin{})
	c.ctx, c.cancel = context.WithCancel(t.Context())
	c.silence = 15
	c.touch()
	s.wheel.insert(c, c.silence)
	advance := func(n int) {
		for range n {
			s.wheel.advance()
		}
	}
	advance(10)
	c.unread()
	advance(1000)
	if c.cause != "" {
		t.Fatalf("%q at tick %d, while it was not read", c.cause, s.wheel.now.Load())
	}
	c.touch()
	advance(14)
	if c.cause != "" {
		t.Fatalf("%q before its time", c.cause)
	}
	advance(checkEvery)
	if c.cause != causeKeepAlive {
		t.Errorf("%q, want %q", c.cause, causeKeepAlive)
	}
	s.wg.Wait()
}

// Removed connections are not looked at, wherever in a slot they were.
func TestWheelRemove(t *testing.T) {
	s := NewServer(nil, Options{})
	var conns []*conn
	for range 5 {
		c := newConn(s, nil, origin{})
		c.silence = 10
		conns = append(conns, c)
		s.wheel.insert(c, 10)
	}
	for _, i := range []int{2, 0, 4, 1, 3, 3} {
		s.wheel.remove(conns[i])
	}
	for slot, c := range s.wheel.slots {
		if c != nil {
			t.Error("left in slot", slot)
		}
	}
}

// The wheel turns with the clock.
func TestWheelRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wheel
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.run(ctx); close(done) }()
		time.Sleep(10*tick + tick/2)
		cancel()
		<-done
		if n := w.now.Load(); n != 10 {
			t.Error("ticks:", n)
		}
	})
}
