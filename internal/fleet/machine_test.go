package fleet

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// day reads a machine every ten seconds for a day.
func day(m *Machine) []Reading {
	var all []Reading
	for at := range 8640 {
		all = append(all, m.Read(start.Add(time.Duration(at)*10*time.Second)))
	}
	return all
}

func TestSameSeedSameReadings(t *testing.T) {
	a, b := day(New("m", Pump, 7, time.Hour)), day(New("m", Pump, 7, time.Hour))
	if !slices.Equal(a, b) {
		t.Error("two machines of one seed differ")
	}
	if c := day(New("m", Pump, 8, time.Hour)); slices.Equal(a, c) {
		t.Error("machines of two seeds do not differ")
	}
}

func TestHealthyMachinesStayBelowTheAlarm(t *testing.T) {
	for kind := range kinds {
		for seed := range uint64(5) {
			states := map[State]int{}
			for _, r := range day(New("m", kind, seed, 0)) {
				states[r.State]++
				if r.Temperature < 8 || r.Temperature > 29.9 || r.Pressure < 0.8 || r.Vibration < 0 || r.Power < 0 || r.Humidity < 5 || r.Humidity > 98 || r.Fault != Healthy {
					t.Fatalf("%v: %+v", kind, r)
				}
			}
			if states[Running] == 0 || states[Idle] == 0 || states[Alarm] > 0 {
				t.Errorf("%v: states %v in a day, want running and idle", kind, states)
			}
		}
	}
}

// The temperature has inertia, and follows the day.
func TestTemperature(t *testing.T) {
	all := day(New("m", Fan, 1, 0))
	for i := 1; i < len(all); i++ {
		if step := math.Abs(all[i].Temperature - all[i-1].Temperature); step > 1 {
			t.Fatalf("a step of %.2f K in ten seconds at %v", step, all[i].Time)
		}
	}
	mean := func(hour int) (sum float64) {
		for _, r := range all[hour*360 : (hour+1)*360] {
			sum += r.Temperature / 360
		}
		return sum
	}
	if night, afternoon := mean(3), mean(15); afternoon-night < 3 {
		t.Errorf("%.1f °C at night and %.1f in the afternoon, want 3 K between them", night, afternoon)
	}
}

// Every kind of fault happens, and shows.
func TestFaults(t *testing.T) {
	seen := map[Fault][]Reading{}
	for seed := range uint64(20) {
		for _, r := range day(New("m", Pump, seed, 30*time.Minute)) {
			seen[r.Fault] = append(seen[r.Fault], r)
		}
	}
	shows := map[Fault]func(Reading) bool{
		Spike:    func(r Reading) bool { return r.Temperature > 30 },
		Dip:      func(r Reading) bool { return r.Temperature < 14 },
		Drift:    func(r Reading) bool { return r.Temperature > 30 },
		Overheat: func(r Reading) bool { return r.Temperature > 30 && r.State == Alarm },
		Bearing:  func(r Reading) bool { return r.Vibration > 4 },
		Leak:     func(r Reading) bool { return r.State == Running && r.Pressure < 2.9 },
	}
	for f := Healthy; f < faultCount; f++ {
		if len(seen[f]) == 0 {
			t.Errorf("%v never happened", f)
		}
		if show := shows[f]; show != nil && !slices.ContainsFunc(seen[f], show) {
			t.Errorf("%v never shows in %d readings", f, len(seen[f]))
		}
	}
	same := 0
	for i := 1; i < len(seen[Stuck]); i++ {
		if seen[Stuck][i].Temperature == seen[Stuck][i-1].Temperature {
			same++
		}
	}
	if same < len(seen[Stuck])/2 {
		t.Errorf("a stuck sensor repeats itself in %d of %d readings", same, len(seen[Stuck]))
	}
	if healthy := len(seen[Healthy]); healthy < 20*8640/2 {
		t.Errorf("machines are healthy in %d readings, want most", healthy)
	}
}

// A machine's first fault can be chosen; what follows is as for any other.
func TestBegin(t *testing.T) {
	for _, every := range []time.Duration{0, time.Hour} {
		m := New("m", Pump, 3, every)
		m.Begin(Spike, 30*time.Second)
		faulty := 0
		for i, r := range day(m) {
			if r.Fault != Healthy {
				faulty++
			}
			if (r.Fault == Spike && r.Temperature > 30) != (i == 3) && i < 10 {
				t.Errorf("every %s: reading %d: %+v", every, i, r)
			}
		}
		if (faulty > 1) != (every > 0) {
			t.Errorf("every %s: %d faulty readings", every, faulty)
		}
	}
}

func TestTimeMayJump(t *testing.T) {
	m := New("m", Oven, 1, time.Hour)
	for _, at := range []time.Time{start, start.Add(-time.Hour), start.AddDate(10, 0, 0), start, {}, time.Unix(0, 0)} {
		if r := m.Read(at); math.IsNaN(r.Temperature) || r.Temperature < -20 || r.Temperature > 80 {
			t.Errorf("at %v: %+v", at, r)
		}
	}
}

func TestPayload(t *testing.T) {
	r := Reading{DeviceID: "pump-1", Kind: Pump, Time: start.Add(7 * time.Millisecond), Temperature: -0.054, Humidity: 45.25, Pressure: 4.005, Vibration: 12, Power: 6.999, State: Running}
	const want = `{"deviceId":"pump-1","timestamp":"2026-01-01T00:00:00.007Z","temperature":-0.05,"humidity":45.3,"pressure":4.01,"vibration":12.00,"power":7.00,"machine":"pump","state":"running"}`
	if got := string(r.AppendJSON(nil)); got != want {
		t.Errorf("\n%s, want\n%s", got, want)
	}
	for size := range 400 {
		b := r.AppendSized([]byte("x"), size)[1:]
		if !json.Valid(b) {
			t.Fatalf("size %d: not JSON: %s", size, b)
		}
		if len(b) != max(size, len(want)) && !(size > len(want) && size < len(want)+len(`,"pad":""`) && len(b) == len(want)) {
			t.Fatalf("size %d: %d bytes", size, len(b))
		}
	}
}

func BenchmarkReading(b *testing.B) {
	m := New("machine-0001", Pump, 1, 15*time.Minute)
	var buf []byte
	at := start
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(50 * time.Millisecond)
		r := m.Read(at)
		buf = r.AppendJSON(buf[:0])
	}
}
