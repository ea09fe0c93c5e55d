package fleet

import (
	"math/rand/v2"
	"time"
)

// A Fault is something that goes wrong with a machine or its sensors.
type Fault uint8

const (
	Healthy  Fault = iota
	Spike          // one reading far off
	Dip            // the same downwards
	Drift          // the temperature sensor wanders off
	Stuck          // the temperature sensor repeats itself
	Overheat       // cooling is lost: over 30 °C, slowly, as mass allows
	Bearing        // vibration grows, and takes power
	Leak           // pressure is lost
	faultCount
)

func (f Fault) String() string {
	return [...]string{"healthy", "spike", "dip", "drift", "stuck", "overheat", "bearing", "leak"}[f]
}

// lasts is how long a fault stays, until maintenance comes.
var lasts = [faultCount]time.Duration{
	Drift:    12 * time.Minute,
	Stuck:    4 * time.Minute,
	Overheat: 10 * time.Minute,
	Bearing:  15 * time.Minute,
	Leak:     8 * time.Minute,
}

// faults decides what is wrong now. One thing at a time goes wrong.
type faults struct {
	every    time.Duration // mean time between the end of one and the next
	first    Fault         // that of Begin, until it begins
	after    time.Duration // from the machine's first time
	now      Fault
	from, to time.Time // of the current one, or to: when the next begins
	size     float64   // 0.5 to 1.5, how bad it is
	stuck    float64
	hasStuck bool
}

// plan draws when the next fault begins.
func (f *faults) plan(random *rand.Rand, now time.Time) {
	f.now, f.to = Healthy, time.Time{}
	switch {
	case f.first != Healthy:
		f.to = now.Add(f.after)
	case f.every > 0:
		f.to = now.Add(time.Duration(float64(f.every) * random.ExpFloat64()))
	}
}

func (f *faults) step(random *rand.Rand, now time.Time) {
	if f.to.IsZero() || now.Before(f.to) {
		return
	}
	if f.now != Healthy {
		f.plan(random, now)
		return
	}
	f.now, f.first = f.first, Healthy
	if f.now == Healthy {
		f.now = Fault(1 + random.IntN(int(faultCount)-1))
	}
	f.size = 0.5 + random.Float64()
	f.from, f.to = now, now.Add(lasts[f.now]) // a spike ends with its reading
	f.hasStuck = false
}

// heat is what a fault adds to the temperature that the housing tends to, in kelvin.
func (f *faults) heat(time.Time) float64 {
	switch f.now {
	case Overheat:
		return 18 + 12*f.size
	case Bearing:
		return 2 * f.size
	}
	return 0
}

// distort changes a reading as the fault does.
func (f *faults) distort(r *Reading, random *rand.Rand) {
	r.Fault = f.now
	minutes := r.Time.Sub(f.from).Minutes()
	switch f.now {
	case Spike:
		r.Temperature += 8 + 8*f.size
	case Dip:
		r.Temperature -= 8 + 8*f.size
	case Drift:
		r.Temperature += 0.4 * f.size * minutes
	case Stuck:
		if !f.hasStuck {
			f.stuck, f.hasStuck = r.Temperature, true
		}
		r.Temperature = f.stuck
	case Bearing:
		r.Vibration += f.size * minutes * (0.25 + 0.05*random.Float64())
		r.Power *= 1 + 0.01*minutes*f.size
	case Leak:
		r.Pressure *= max(1-0.06*f.size*minutes, 0.3)
	}
}
