package mqtt

import (
	"net"
	"testing"
)

type addressed struct {
	net.Conn
	from string
}

func (a addressed) RemoteAddr() net.Addr {
	tcp, err := net.ResolveTCPAddr("tcp", a.from)
	if err != nil {
		panic(err)
	}
	return tcp
}

// No address has more than its share of the half-open connections, however it
// is written; what it gives back can be taken again.
func TestHalfOpenShare(t *testing.T) {
	s := NewServer(nil, Options{HalfOpen: 6})
	admit := func(from string, want bool) *conn {
		t.Helper()
		c, err := s.admit(t.Context(), addressed{from: from}, origin{})
		if (err == nil) != want {
			t.Fatalf("%s: %v", from, err)
		}
		return c
	}
	first := admit("192.0.2.1:1", true)
	second := admit("192.0.2.1:2", true)
	third := admit("[::ffff:192.0.2.1]:3", true)
	admit("192.0.2.1:4", false)
	s.authenticated(first)
	fourth := admit("192.0.2.1:5", true)
	s.release(first) // gives back nothing twice
	admit("192.0.2.1:6", false)
	for _, c := range []*conn{second, third, fourth} {
		s.release(c)
	}

	v6 := []*conn{admit("[2001:db8::1]:1", true), admit("[2001:db8::2]:1", true), admit("[2001:db8:0:0:ffff::]:1", true)}
	admit("[2001:db8::4]:1", false)
	other := admit("[2001:db8:0:1::1]:1", true) // another customer
	for _, c := range append(v6, other) {
		s.release(c)
	}

	var local []*conn
	for range 6 {
		local = append(local, admit("127.0.0.1:1", true))
	}
	admit("127.0.0.1:1", false) // the whole bound
	for _, c := range local {
		s.release(c)
	}
	if len(s.shares) != 0 || s.halfOpen != 0 {
		t.Errorf("left: %v, %d half open", s.shares, s.halfOpen)
	}
	s.stopTicks()
	s.ticks.Wait()
}
