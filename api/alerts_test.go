package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/mem"
)

var alertStart = clock().Add(-time.Minute).Truncate(time.Minute)

// alertsOf makes n stored alerts of two jobs, a second apart.
func alertsOf(t *testing.T, n int) (store.Store, *Alerts) {
	t.Helper()
	st := mem.New(nil)
	for i := range n {
		text, err := json.Marshal(alertAt(i))
		if err != nil {
			t.Fatal(err)
		}
		d := store.Document{ID: fmt.Sprintf("a%04d", i), DeviceID: "$alerts", Time: alertStart.Add(time.Duration(i) * time.Second), Expires: time.Now().Add(time.Hour), Data: text}
		if err := st.Upsert(t.Context(), []store.Document{d}); err != nil {
			t.Fatal(err)
		}
	}
	return st, &Alerts{Device: "$alerts", Decode: func(d store.Document) (a Alert, err error) {
		return a, json.Unmarshal(d.Data, &a)
	}}
}

func alertAt(i int) Alert {
	return Alert{ID: fmt.Sprintf("a%04d", i), Job: []string{"anomaly", "threshold"}[i%2], Into: "AlertOutput",
		Time: alertStart.Add(time.Duration(i) * time.Second), Row: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}
}

func TestListAlerts(t *testing.T) {
	st, alerts := alertsOf(t, 10)
	h := handler(t, st, Options{Alerts: alerts})
	numbers := func(path string) (got []string, next string) {
		w := get(h, path)
		if w.Code != 200 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		var answer alertsAnswer
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		for _, a := range answer.Alerts {
			got = append(got, strings.TrimLeft(a.ID, "a0"))
		}
		next, _, _ = strings.Cut(strings.TrimPrefix(w.Header().Get("Link"), "<"), ">")
		return got, next
	}
	for path, want := range map[string]string{
		"/alerts": "9 8 7 6 5 4 3 2 1 ",
		"/alerts?since=" + alertStart.Add(7*time.Second).Format(time.RFC3339): "9 8 7",
		"/alerts?job=threshold": "9 7 5 3 1",
		"/alerts?job=nobody":    "",
	} {
		if got, next := numbers(path); strings.Join(got, " ") != want || next != "" {
			t.Errorf("%s: %q, next %q", path, got, next)
		}
	}
	var all []string
	for path := "/alerts?limit=2&job=anomaly"; path != ""; {
		got, next := numbers(path)
		if len(got) > 2 {
			t.Fatalf("%s: %d alerts", path, len(got))
		}
		all, path = append(all, got...), next
	}
	if strings.Join(all, " ") != "8 6 4 2 " {
		t.Errorf("by pages: %q", all)
	}
}

// TestLiveAlerts: what is stored since a moment, then what comes; each once.
func TestLiveAlerts(t *testing.T) {
	st, alerts := alertsOf(t, 3)
	server := httptest.NewServer(handler(t, st, Options{Alerts: alerts}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/alerts/live?since="+alertStart.Add(time.Second).Format(time.RFC3339), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	next := func() string {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return data
			}
		}
		t.Fatal("the stream ended")
		return ""
	}
	for _, want := range []string{`"n":1`, `"n":2`} {
		if got := next(); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	alerts.Publish([]Alert{alertAt(2), alertAt(3)})
	if got := next(); !strings.Contains(got, `"id":"a0003","job":"threshold","into":"AlertOutput"`) {
		t.Errorf("%s, want the one that is new", got)
	}
}

// TestLiveAlertsAreBounded: a client that does not read is told what it missed.
func TestLiveAlertsAreBounded(t *testing.T) {
	var alerts Alerts
	follow := alerts.follow("threshold")
	for i := range 2*maxAlertsBehind + 14 {
		alerts.Publish([]Alert{alertAt(i)})
	}
	if waiting, missed := follow.take(); len(waiting) != maxAlertsBehind || missed != 7 {
		t.Errorf("%d wait, %d missed", len(waiting), missed)
	}
	alerts.leave(follow)
	alerts.Publish([]Alert{alertAt(1)})
	if waiting, _ := follow.take(); len(waiting) != 0 {
		t.Errorf("%d after it left", len(waiting))
	}
}
