package mqtt_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mem"
	"github.com/weir-iot/weir/hub/mqtt"
	"github.com/weir-iot/weir/internal/mqtt311"
)

// A slowDisk is a registry whose writes wait while the test holds them.
type slowDisk struct {
	*mem.Registry
	mu      sync.Mutex
	changed sync.Cond
	held    bool
	waiting int
}

func newSlowDisk() *slowDisk {
	d := &slowDisk{Registry: mem.New()}
	d.changed.L = &d.mu
	return d
}

func (d *slowDisk) Write(ctx context.Context, changes ...hub.Change) error {
	d.mu.Lock()
	d.waiting++
	d.changed.Broadcast()
	for d.held {
		d.changed.Wait()
	}
	d.waiting--
	d.mu.Unlock()
	return d.Registry.Write(ctx, changes...)
}

func (d *slowDisk) hold(held bool) {
	d.mu.Lock()
	d.held = held
	d.changed.Broadcast()
	d.mu.Unlock()
}

// wait waits until a write waits.
func (d *slowDisk) wait() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.waiting == 0 {
		d.changed.Wait()
	}
}

func slowRig(t *testing.T) (*rig, *slowDisk) {
	disk := newSlowDisk()
	r := newRigOn(t, mqtt.Options{}, disk)
	t.Cleanup(func() { disk.hold(false) })
	return r, disk
}

func report(rid, patch string, id uint16) []byte {
	return publish("$iothub/twin/PATCH/properties/reported/?$rid="+rid, patch, id)
}

// A report that waits for the disk holds up neither telemetry nor pings; its
// answer comes before that of the GET behind it, and PUBACKs stay in order.
func TestReaderDoesNotWaitForTheDisk(t *testing.T) {
	r, disk := slowRig(t)
	c := r.connect(d1)
	disk.hold(true)
	c.send(publish(events, "a", 1))
	c.expect("PUBACK 1")
	c.send(report("r", `{"a":1}`, 2), publish("$iothub/twin/GET/?$rid=g", "", 3), publish(events, "b", 4),
		publish("$iothub/methods/res/200/?$rid=none", "", 5), publish(events, "c", 6), ping)
	disk.wait()
	r.log.wait(3)
	c.expect("PINGRESP")
	disk.hold(false)
	c.expect("PUBLISH $iothub/twin/res/204/?$rid=r&$version=2 ")
	c.expect("PUBACK 2")
	c.expect(`PUBLISH $iothub/twin/res/200/?$rid=g {"desired":{"$version":1},"reported":{"$version":2,"a":1}}`)
	for i := 3; i <= 6; i++ {
		c.expect(fmt.Sprintf("PUBACK %d", i))
	}
}

// Nor does the acknowledgement of a cloud-to-device message; one that arrived
// before DISCONNECT or the end of the stream counts.
func TestCompletionDoesNotHoldTheReader(t *testing.T) {
	for name, leave := range map[string]func(c *client){
		"DISCONNECT": func(c *client) { c.send(mqtt311.AppendDisconnect(nil)) },
		"end":        func(c *client) { _ = c.nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			r, disk := slowRig(t)
			token := r.device(d1)
			c := r.connectWith(d1, token)
			c.send(subscribe(1, 1, devicebound))
			c.expect("SUBACK 1 [1]")
			r.sendToDevice(d1, &hub.CloudMessage{Body: []byte("x")})
			c.read()
			disk.hold(true)
			c.send(mqtt311.AppendPuback(nil, 1), ping)
			disk.wait()
			c.expect("PINGRESP")
			c.send(report("r", `{"left":true}`, 0))
			leave(c)
			disk.hold(false)
			for r.metric("weir_mqtt_connections", "") > 0 {
				runtime.Gosched()
			}
			d, err := r.hub.Device(t.Context(), d1)
			if err != nil || d.CloudToDeviceMessageCount != 0 {
				t.Errorf("%d messages wait, %v: want none", d.CloudToDeviceMessageCount, err)
			}
			twin, err := r.hub.TwinOf(t.Context(), d1)
			if err != nil || twin.Reported.Values["left"] != true {
				t.Errorf("the last report is lost: %v, %v", twin.Reported.Values, err)
			}
		})
	}
}

// A device that asks for more than the disk gives is not read.
func TestWorkIsBounded(t *testing.T) {
	r, disk := slowRig(t)
	c, other := r.connect(d1), r.connect(hub.ID{Device: "d2"})
	disk.hold(true)
	const n = 200
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range n {
			c.send(report(fmt.Sprint(i), `{"a":"`+strings.Repeat("x", 1000)+`"}`, 0))
		}
		c.send(publish(events, "behind", 1))
	}()
	<-written // into the socket's buffers
	disk.wait()
	other.send(ping)
	other.expect("PINGRESP")
	if got := len(r.log.wait(0)); got != 0 {
		t.Errorf("%d messages behind the bound were read", got)
	}
	disk.hold(false)
	for i := 0; i < n; {
		if c.expect("PUBACK 1", fmt.Sprintf("PUBLISH $iothub/twin/res/204/?$rid=%d&$version=%d ", i, i+2)) != "PUBACK 1" {
			i++
		}
	}
}

// A connection that ends while work waits lets go of all of it.
func TestEndOfAConnectionCancelsWork(t *testing.T) {
	r, disk := slowRig(t)
	token := r.device(d1)
	c := r.connectWith(d1, token)
	disk.hold(true)
	c.send(report("r", `{"a":1}`, 1), publish(events, "a", 2), report("s", `{"b":1}`, 3), ping)
	disk.wait()
	c.expect("PINGRESP")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan error, 1)
	go func() { done <- r.srv.Shutdown(ctx) }()
	c.expect("closed") // the device need not wait
	disk.hold(false)
	if err := <-done; err == nil {
		t.Error("Shutdown did not give up")
	}
	twin, err := r.hub.TwinOf(t.Context(), d1)
	if err != nil || twin.Reported.Values["b"] != nil {
		t.Errorf("work went on after the end: %v, %v", twin.Reported.Values, err)
	}
}

// PUBACKs leave in the order of the PUBLISHes whatever the disk and the log do.
func TestPubackOrderAtRandom(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r, disk := slowRig(t)
		c := r.connect(d1)
		const n = 60
		for i := range uint16(n) {
			switch rng.IntN(8) {
			case 0:
				disk.hold(true)
			case 1:
				disk.hold(false)
			case 2:
				r.log.setHold()
			case 3:
				r.log.release(nil)
			}
			switch rng.IntN(4) {
			case 0:
				c.send(report("r", `{"a":1}`, i+1))
			case 1:
				c.send(publish("$iothub/twin/GET/?$rid=g", "", i+1))
			case 2:
				c.send(publish("$iothub/methods/res/200/?$rid=x", "", i+1))
			default:
				c.send(publish(events, "x", i+1))
			}
		}
		disk.hold(false)
		r.log.release(nil)
		for next := 1; next <= n; {
			got := c.read()
			if strings.HasPrefix(got, "PUBLISH ") {
				continue
			}
			if got != fmt.Sprintf("PUBACK %d", next) {
				t.Fatalf("seed %d: %s, want PUBACK %d", seed, got, next)
			}
			next++
		}
	}
}
