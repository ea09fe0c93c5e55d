package mqtt_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mqtt"
)

// A device that does not read is disconnected when too much waits for it, and
// holds up nobody.
func TestSlowReader(t *testing.T) {
	r := newRig(t, mqtt.Options{Outbound: 1 << 10})
	c := r.connect(d1)
	_ = c.nc.(*net.TCPConn).SetReadBuffer(1 << 10)
	c.send(subscribe(1, 1, devicebound))
	c.expect("SUBACK 1 [1]")
	for range 50 {
		if err := r.hub.SendToDevice(context.Background(), d1, &hub.CloudMessage{Body: make([]byte, 60<<10)}); err != nil {
			break // the device is gone, its queue is full
		}
	}
	for r.metric("weir_mqtt_disconnects_total", "slow") == 0 {
		runtime.Gosched()
	}
}

// Shutdown acknowledges what was taken, then closes.
func TestShutdown(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	r.log.setHold()
	c.send(publish(events, "a", 1))
	r.log.wait(1)
	done := make(chan error, 1)
	go func() { done <- r.srv.Shutdown(context.Background()) }()
	for { // it takes no more connections
		nc, err := net.Dial("tcp", r.addr)
		if err != nil {
			break
		}
		_ = nc.Close()
	}
	r.log.release(nil)
	c.expect("PUBACK 1")
	c.expect("closed")
	if err := <-done; err != nil {
		t.Error(err)
	}
	a, b := net.Pipe()
	defer func() { _ = b.Close() }()
	if err := r.srv.ServeConn(context.Background(), a, "mqtt"); !errors.Is(err, mqtt.ErrServerClosed) {
		t.Error("ServeConn after Shutdown:", err)
	}
}

// Shutdown does not wait for a device for longer than it is told to; the log
// is waited for, for it always answers.
func TestShutdownGivesUp(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	r.log.setHold()
	c.send(publish(events, "a", 1))
	r.log.wait(1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	done := make(chan error, 1)
	go func() { done <- r.srv.Shutdown(ctx) }()
	c.expect("closed")
	r.log.release(errors.New("stopped"))
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Serve's context closes its connections at once.
func TestCancelServe(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	a, b := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.srv.ServeConn(ctx, a, "mqtt") }()
	cancel()
	_ = b.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := b.Read(make([]byte, 1)); err == nil {
		t.Error("still open")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
