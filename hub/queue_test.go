package hub_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/telemetry"
)

func (h *testHub) queue(d *hub.Device, body, ack string) {
	h.t.Helper()
	if err := h.SendToDevice(h.t.Context(), d.ID(), &hub.CloudMessage{MessageID: "id-" + body, Body: []byte(body), Ack: ack}); err != nil {
		h.t.Fatalf("send %s: %v", body, err)
	}
}

// feedback fetches all records, as "message:status".
func (h *testHub) feedback() string {
	h.t.Helper()
	var got []string
	for {
		b, err := h.Feedback(h.t.Context())
		if err != nil {
			h.t.Fatalf("feedback: %v", err)
		}
		if b == nil {
			return strings.Join(got, " ")
		}
		for _, r := range b.Records {
			got = append(got, r.OriginalMessageID+":"+r.StatusCode)
		}
		if err := h.SettleFeedback(h.t.Context(), b.LockToken, true); err != nil {
			h.t.Fatalf("settle feedback: %v", err)
		}
	}
}

// pull receives as a device over HTTPS does, and ends the request.
func (h *testHub) pull(d *hub.Device) *hub.CloudMessage {
	h.t.Helper()
	s := h.request(d)
	defer s.Close()
	m, err := s.Receive(h.t.Context())
	if err != nil {
		h.t.Fatalf("receive: %v", err)
	}
	return m
}

func (h *testHub) request(d *hub.Device) *hub.Session {
	h.t.Helper()
	s, err := h.Connect(h.t.Context(), hub.Credential{ID: d.ID(), Token: token(h.t, d, 100*time.Hour)}, nil)
	if err != nil {
		h.t.Fatalf("connect: %v", err)
	}
	return s
}

func TestCloudMessageArrivesWhole(t *testing.T) {
	at := time.Now().UTC().Truncate(time.Millisecond)
	h := newHub(t, func(o *hub.Options) { o.Now = func() time.Time { return at } })
	d := h.device("d")
	sent := hub.CloudMessage{
		MessageID: "m", CorrelationID: "c", UserID: "u", ContentType: "t", Encoding: "e", Ack: "full",
		Properties: telemetry.Properties{{Key: "b", Value: "1"}, {Key: "a", Null: true}, {Key: "empty"}},
		Body:       []byte{0, 1, 255},
	}
	if err := h.SendToDevice(t.Context(), d.ID(), &sent); err != nil {
		t.Fatal(err)
	}
	got := h.pull(d)
	want := sent
	want.To, want.Enqueued, want.Expires = "/devices/d/messages/devicebound", at, at.Add(time.Hour)
	want.Sequence, want.LockToken = got.Sequence, got.LockToken
	if diff := cmp.Diff(&want, got); diff != "" || got.Sequence <= 0 || got.LockToken == "" {
		t.Errorf("sequence %d, token %q\n%s", got.Sequence, got.LockToken, diff)
	}
}

func TestQueueRefusals(t *testing.T) {
	h := newHub(t)
	d, m := h.device("d"), h.device("d/m")
	for name, c := range map[string]struct {
		id   hub.ID
		m    hub.CloudMessage
		want error
	}{
		"unknown device": {hub.ID{Device: "x"}, hub.CloudMessage{}, hub.ErrDeviceNotFound},
		"module":         {m.ID(), hub.CloudMessage{}, hub.ErrArgument},
		"bad ack":        {d.ID(), hub.CloudMessage{Ack: "maybe"}, hub.ErrArgument},
		"waits too long": {d.ID(), hub.CloudMessage{Expires: time.Now().Add(49 * time.Hour)}, hub.ErrArgument},
		"too large":      {d.ID(), hub.CloudMessage{Body: make([]byte, 64<<10+1)}, hub.ErrTooLarge},
		"too large with properties": {d.ID(), hub.CloudMessage{Body: make([]byte, 64<<10),
			Properties: telemetry.Properties{{Key: "k"}}}, hub.ErrTooLarge},
	} {
		if err := h.SendToDevice(t.Context(), c.id, &c.m); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range 50 {
		h.queue(d, fmt.Sprint(n), "")
	}
	wantError(t, h.SendToDevice(t.Context(), d.ID(), &hub.CloudMessage{}), hub.ErrQueueFull)
	if n := h.get(d.ID()).CloudToDeviceMessageCount; n != 50 {
		t.Errorf("count %d, want 50", n)
	}
	n, err := h.PurgeQueue(t.Context(), "d")
	if err != nil || n != 50 || h.get(d.ID()).CloudToDeviceMessageCount != 0 {
		t.Errorf("purged %d, %v", n, err)
	}
}

func TestConnectedDeviceIsHandedMessages(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	h.queue(d, "a", "")
	h.queue(d, "b", "")
	s, r := h.connect(d, 0)
	h.wantEvents(r, "")
	if err := s.Subscribe(t.Context(), hub.FeedCloudToDevice); err != nil {
		t.Fatal(err)
	}
	h.wantEvents(r, "message a, message b")
	h.queue(d, "c", "")
	h.wantEvents(r, "message c")
	wantError(t, s.Complete(t.Context(), r.last().LockToken), nil)
	wantError(t, s.Complete(t.Context(), r.last().LockToken), hub.ErrLockLost)
	if m := h.pull(d); m != nil {
		t.Errorf("pulled %s, which the session holds", m.Body)
	}
	wantError(t, h.request(d).Complete(t.Context(), r.cloud[0].LockToken), hub.ErrLockLost)
	s.Close()
	s, r = h.connect(d, hub.FeedCloudToDevice)
	h.wantEvents(r, "message a, message b") // unsettled, so once more, in order
	if err := s.Unsubscribe(t.Context(), hub.FeedCloudToDevice); err != nil {
		t.Fatal(err)
	}
	h.queue(d, "d", "")
	h.wantEvents(r, "")
	if err := s.Subscribe(t.Context(), hub.FeedCloudToDevice); err != nil {
		t.Fatal(err)
	}
	h.wantEvents(r, "message a, message b, message d")
	_, r2 := h.connect(d, hub.FeedCloudToDevice) // takes over
	h.wantEvents(r2, "message a, message b, message d")
	if r2.last().DeliveryCount != 0 {
		t.Error("only an abandon counts as a delivery")
	}
}

func TestPulledMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := h.device("d")
		h.queue(d, "a", "")
		h.queue(d, "b", "")
		first := h.pull(d)
		if second := h.pull(d); string(first.Body) != "a" || string(second.Body) != "b" {
			t.Fatalf("pulled %s, %s", first.Body, second.Body)
		}
		if third := h.pull(d); third != nil {
			t.Fatalf("pulled %s, which is locked", third.Body)
		}
		time.Sleep(59 * time.Second)
		wantError(t, h.request(d).Abandon(t.Context(), first.LockToken), nil)
		again := h.pull(d)
		if string(again.Body) != "a" || again.DeliveryCount != 1 {
			t.Fatalf("pulled %s, %d", again.Body, again.DeliveryCount)
		}
		time.Sleep(61 * time.Second)
		wantError(t, h.request(d).Complete(t.Context(), again.LockToken), hub.ErrLockLost)
		_, r := h.connect(d, hub.FeedCloudToDevice)
		h.wantEvents(r, "message a, message b")
	})
}

func TestSessionThatEndsLeavesOtherLocks(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	h.queue(d, "a", "")
	pulled := h.pull(d)
	s, _ := h.connect(d, hub.FeedCloudToDevice)
	s.Close()
	if m := h.pull(d); m != nil {
		t.Errorf("pulled %s, which is locked", m.Body)
	}
	wantError(t, h.request(d).Complete(t.Context(), pulled.LockToken), nil)
}

func TestSequencesGrowAcrossRestarts(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	h.queue(d, "a", "")
	before := h.pull(d)
	wantError(t, h.request(d).Complete(t.Context(), before.LockToken), nil)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = newHub(t, func(o *hub.Options) { o.Registry = h.registry })
	h.queue(d, "b", "")
	if after := h.pull(d); after.Sequence <= before.Sequence {
		t.Errorf("sequence %d behind %d of a message that is gone", after.Sequence, before.Sequence)
	}
}

func TestLockThatEndsHandsOutToTheConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := h.device("d")
		h.queue(d, "a", "")
		h.pull(d)
		_, r := h.connect(d, hub.FeedCloudToDevice)
		h.wantEvents(r, "")
		time.Sleep(62 * time.Second)
		synctest.Wait()
		h.wantEvents(r, "message a")
	})
}

func TestDeliveryCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := h.device("d")
		h.queue(d, "a", "negative")
		s, r := h.connect(d, hub.FeedCloudToDevice)
		for n := range 10 {
			if got := r.last().DeliveryCount; got != n {
				t.Errorf("delivery %d says %d", n, got)
			}
			wantError(t, s.Abandon(t.Context(), r.last().LockToken), nil)
		}
		if n := len(r.cloud); n != 10 || h.get(d.ID()).CloudToDeviceMessageCount != 0 {
			t.Errorf("handed out %d times, want 10, and then gone", n)
		}
		time.Sleep(15 * time.Second)
		if got := h.feedback(); got != "id-a:DeliveryCountExceeded" {
			t.Errorf("feedback %s", got)
		}
	})
}

func TestMessagesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := h.device("d")
		h.queue(d, "hour", "full")
		expires := time.Now().Add(time.Minute)
		if err := h.SendToDevice(t.Context(), d.ID(), &hub.CloudMessage{MessageID: "id-minute", Ack: "full", Expires: expires}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if n := h.get(d.ID()).CloudToDeviceMessageCount; n != 2 {
			t.Errorf("%d messages before", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := h.get(d.ID()).CloudToDeviceMessageCount; n != 1 {
			t.Errorf("%d messages after a minute", n)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		for e, err := range h.registry.Entries(t.Context(), "d", 0) {
			t.Errorf("%v, %v is left in the registry", e, err)
		}
		if got := h.feedback(); got != "id-hour:Expired" { // the other record's own hour is over
			t.Errorf("feedback %s", got)
		}
	})
}

func TestFeedbackPerAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := h.device("d")
		for _, ack := range []string{"none", "positive", "negative", "full"} {
			for _, body := range []string{"complete", "reject", "purge"} {
				h.queue(d, body+"-"+ack, ack)
			}
		}
		s := h.request(d)
		for n := 0; ; n++ {
			m, err := s.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if m == nil {
				break
			}
			switch n % 3 {
			case 0:
				err = s.Complete(t.Context(), m.LockToken)
			case 1:
				err = s.Reject(t.Context(), m.LockToken)
			}
			wantError(t, err, nil)
		}
		if n, err := h.PurgeQueue(t.Context(), "d"); n != 0 || err != nil {
			t.Errorf("purged %d locked messages, %v", n, err)
		}
		time.Sleep(61 * time.Second)
		if n, err := h.PurgeQueue(t.Context(), "d"); n != 4 || err != nil {
			t.Errorf("purged %d, %v", n, err)
		}
		time.Sleep(15 * time.Second)
		want := "id-complete-positive:Success id-reject-negative:Rejected id-complete-full:Success id-reject-full:Rejected " +
			"id-purge-negative:Purged id-purge-full:Purged"
		if got := h.feedback(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestFeedbackBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := h.device("d")
		succeed := func(n int) {
			for range n {
				h.queue(d, "m", "positive")
				s := h.request(d)
				m, err := s.Receive(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				wantError(t, s.Complete(t.Context(), m.LockToken), nil)
			}
		}
		fetch := func() (int, string) {
			b, err := h.Feedback(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				return 0, ""
			}
			if r := b.Records[0]; r.DeviceID != "d" || r.DeviceGenerationID != d.GenerationID || r.EnqueuedTimeUTC.IsZero() {
				t.Errorf("record %+v", r)
			}
			return len(b.Records), b.LockToken
		}
		want := func(what string, got, want int) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %d records, want %d", what, got, want)
			}
		}
		succeed(63)
		n, _ := fetch()
		want("before it is full", n, 0)
		succeed(2)
		n, first := fetch()
		want("full", n, 64)
		n, _ = fetch()
		want("the rest is young", n, 0)
		time.Sleep(15 * time.Second)
		n, second := fetch()
		want("the rest is old", n, 1)
		wantError(t, h.SettleFeedback(t.Context(), second, false), nil)
		n, second = fetch()
		want("returned", n, 1)
		wantError(t, h.SettleFeedback(t.Context(), first, true), nil)
		wantError(t, h.SettleFeedback(t.Context(), first, true), hub.ErrLockLost)
		time.Sleep(61 * time.Second)
		wantError(t, h.SettleFeedback(t.Context(), second, true), hub.ErrLockLost)
		n, second = fetch()
		want("lock over", n, 1)
		wantError(t, h.SettleFeedback(t.Context(), second, true), nil)
		time.Sleep(time.Hour)
		n, _ = fetch()
		want("settled", n, 0)
	})
}

func TestQueueOutlivesTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := h.device("d")
		h.queue(d, "done", "full")
		h.queue(d, "a", "full")
		h.queue(d, "b", "")
		s, r := h.connect(d, hub.FeedCloudToDevice)
		wantError(t, s.Complete(t.Context(), r.cloud[0].LockToken), nil)
		wantError(t, s.Abandon(t.Context(), r.cloud[1].LockToken), nil)
		sequence := r.cloud[2].Sequence
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		again := newHub(t, func(o *hub.Options) { o.Registry = h.registry })
		if n := again.get(d.ID()).CloudToDeviceMessageCount; n != 2 {
			t.Errorf("%d messages, want 2", n)
		}
		m := again.pull(d)
		if string(m.Body) != "a" || m.DeliveryCount != 1 {
			t.Errorf("got %s, %d", m.Body, m.DeliveryCount)
		}
		again.queue(d, "c", "")
		again.pull(d)
		if m := again.pull(d); string(m.Body) != "c" || m.Sequence <= sequence {
			t.Errorf("got %s with sequence %d, want c behind %d", m.Body, m.Sequence, sequence)
		}
		time.Sleep(15 * time.Second)
		if got := again.feedback(); got != "id-done:Success" {
			t.Errorf("feedback %s", got)
		}
	})
}

func TestDeletedDeviceLeavesNoMessages(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	h.queue(d, "a", "full")
	_, r := h.connect(d, hub.FeedCloudToDevice)
	h.wantEvents(r, "message a")
	if err := h.DeleteDevice(t.Context(), d.ID(), "*"); err != nil {
		t.Fatal(err)
	}
	d = h.device("d")
	_, r = h.connect(d, hub.FeedCloudToDevice)
	h.wantEvents(r, "")
	if got := h.get(d.ID()); got.CloudToDeviceMessageCount != 0 {
		t.Errorf("%+v", got)
	}
}
