package rest

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/weir-iot/weir/hub"
)

// A machine answers direct methods with their own payload, or never.
type machine struct {
	session *hub.Session
	silent  bool
}

func (m *machine) CloudToDevice(*hub.CloudMessage) {}
func (m *machine) Desired(int64, []byte)           {}
func (m *machine) Disconnect(error)                {}
func (m *machine) Invoke(call *hub.MethodCall) {
	if !m.silent {
		go m.session.Respond(call.RequestID, 207, call.Payload)
	}
}

func TestMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.create(hub.ID{Device: "d1"})
		m := &machine{}
		s, err := w.hub.Connect(context.Background(), hub.Credential{ID: hub.ID{Device: "d1"}, Token: w.token("device:d1")}, m)
		if err != nil {
			t.Fatal(err)
		}
		m.session = s
		defer s.Close()
		if err := s.Subscribe(context.Background(), hub.FeedMethods); err != nil {
			t.Fatal(err)
		}
		const path = "/twins/d1/methods?api-version=2021-04-12"
		for payload, want := range map[string]string{
			`,"payload":{"a":1}`: `{"status":207,"payload":{"a":1}}`,
			`,"payload":null`:    `{"status":207,"payload":null}`,
			``:                   `{"status":207,"payload":null}`,
		} {
			got := w.do("service", "POST", path, `{"methodName":"echo"`+payload+`}`, nil)
			if got.StatusCode != 200 || string(got.body) != want {
				t.Errorf("%s: %d %s, want %s", payload, got.StatusCode, got.body, want)
			}
		}
		m.silent = true
		got := w.do("service", "POST", path, `{"methodName":"echo","responseTimeoutInSeconds":60}`, nil)
		var outer plainBody
		var inner codedBody
		if err := json.Unmarshal(got.body, &outer); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(outer.Message), &inner); err != nil {
			t.Fatal(err)
		}
		if got.StatusCode != 504 || inner.ErrorCode != hub.ErrGatewayTimeout.Code || got.Header.Get("iothub-errorcode") != "GatewayTimeout" {
			t.Errorf("no answer: %d %v %s", got.StatusCode, got.Header, got.body)
		}
	})
}
