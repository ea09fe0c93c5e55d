package hub_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/telemetry"
)

func TestMetrics(t *testing.T) {
	r := prometheus.NewRegistry()
	h := newHub(t, func(o *hub.Options) { o.Metrics = r })
	d := h.device("d")
	s, _ := h.connect(d, hub.FeedCloudToDevice)
	wantError(t, send(t, s, telemetry.Message{Body: make([]byte, 100)}), nil)
	wantError(t, send(t, s, telemetry.Message{Body: make([]byte, 1<<20)}), hub.ErrTooLarge)
	h.queue(d, "a", "")
	if _, err := h.Connect(t.Context(), hub.Credential{ID: d.ID(), Token: token(t, d, -time.Hour)}, nil); err == nil {
		t.Fatal("connected")
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"weir_hub_sessions": 1, "weir_hub_inflight_bytes": 0, "weir_hub_messages_total": 1, "weir_hub_messages_refused_total": 1,
		"weir_hub_connects_total accepted": 1, "weir_hub_connects_total refused": 1, "weir_hub_cloud_messages_total enqueued": 1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if got["weir_hub_message_bytes_total"] < 100 {
		t.Errorf("%v bytes", got["weir_hub_message_bytes_total"])
	}
}
