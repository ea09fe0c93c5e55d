package mqtt

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
)

// TestShutdownMeetsAFreshConnection: between accept and the first byte a
// connection is there for Shutdown to end, although nothing serves it yet.
func TestShutdownMeetsAFreshConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(nil, Options{})
		near, far := net.Pipe()
		defer far.Close()
		c, err := s.admit(t.Context(), near, origin{})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- s.Shutdown(context.Background()) }()
		synctest.Wait() // it has killed the connection and waits for its end
		c.serve(t.Context())
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
