// Package fleet simulates machines with plausible physics, and runs them as
// real devices against a hub to put it under load.
//
// A Machine is deterministic: the same seed and the same sequence of times give
// the same readings. Time is an input; the package looks at a clock only where
// it measures a hub. It leaves out everything that a real plant adds: nobody
// should tune an alarm on it.
package fleet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// A Kind of machine.
type Kind uint8

const (
	Pump Kind = iota
	Compressor
	Oven
	Chiller
	Fan
	kinds
)

// A profile is what machines of a kind have in common.
type profile struct {
	name      string
	rise      float64       // kelvin above ambient at full load, of the housing
	inertia   time.Duration // time constant of the housing's temperature
	power     float64       // kilowatts at full load
	pressure  float64       // bar at full load
	vibration float64       // millimetres per second at full load
	cycle     time.Duration // a run and the pause after it
	duty      float64       // the share of a cycle that is run
}

var profiles = [kinds]profile{
	Pump:       {"pump", 5, 6 * time.Minute, 7.5, 4.2, 1.8, 45 * time.Minute, 0.85},
	Compressor: {"compressor", 6, 8 * time.Minute, 22, 8.5, 2.6, 20 * time.Minute, 0.7},
	Oven:       {"oven", 6.5, 15 * time.Minute, 36, 1.01, 0.3, 90 * time.Minute, 0.8},
	Chiller:    {"chiller", -6, 10 * time.Minute, 15, 12.4, 1.2, 30 * time.Minute, 0.75},
	Fan:        {"fan", 3, 3 * time.Minute, 4, 1.06, 2.1, 4 * time.Hour, 0.95},
}

func (k Kind) String() string {
	if k < kinds {
		return profiles[k].name
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// A State of a machine.
type State uint8

const (
	Idle State = iota
	Running
	Alarm // the controller has seen an overheating
)

func (s State) String() string { return [...]string{"idle", "running", "alarm"}[s] }

// A Reading is what a machine's sensors show at one moment.
type Reading struct {
	DeviceID    string
	Kind        Kind
	Time        time.Time
	Temperature float64 // °C, of the housing: 18 to 29 without a fault
	Humidity    float64 // % relative, around the machine
	Pressure    float64 // bar
	Vibration   float64 // mm/s, effective
	Power       float64 // kW
	State       State
	Fault       Fault // what is injected: the truth, which no sensor shows
}

// A Machine is one simulated machine. It is not safe for concurrent use.
type Machine struct {
	id      string
	kind    Kind
	profile *profile
	random  *rand.Rand

	ambient float64       // °C, mean over a day
	phase   time.Duration // of its cycle

	now     time.Time
	housing float64 // °C, the true temperature
	load    float64 // 0 to 1, follows the cycle with a lag
	faults  faults
}

// New makes a machine that stands in a hall of its own at its first time.
// every is the mean time between its faults; 0: none.
func New(id string, kind Kind, seed uint64, every time.Duration) *Machine {
	random := rand.New(rand.NewPCG(seed, uint64(kind)))
	p := &profiles[kind%kinds]
	return &Machine{
		id: id, kind: kind % kinds, profile: p, random: random,
		ambient: 19.5 + 1.5*random.Float64(),
		phase:   time.Duration(random.Int64N(int64(p.cycle))),
		faults:  faults{every: every},
	}
}

// Begin makes f the machine's first fault, at that time after its first
// reading. It is called before Read.
func (m *Machine) Begin(f Fault, after time.Duration) { m.faults.first, m.faults.after = f, after }

// ID returns the id that New was given.
func (m *Machine) ID() string { return m.id }

// maxStep bounds one step of integration: a machine that slept for a day has
// long reached its balance.
const maxStep = 24 * time.Hour

// Read moves the machine on to now, and reads its sensors. A now before the
// last one leaves the machine where it is.
func (m *Machine) Read(now time.Time) Reading {
	ambient := m.surroundings(now)
	if m.now.IsZero() {
		m.now, m.load = now, m.demand(now)
		m.housing = ambient + m.profile.rise*m.load
		m.faults.plan(m.random, now)
	}
	dt := min(max(now.Sub(m.now), 0), maxStep)
	m.now = m.now.Add(max(now.Sub(m.now), 0))
	m.faults.step(m.random, now)
	m.advance(dt, ambient)
	return m.sense(now, ambient)
}

// surroundings is the temperature of the hall: warmest at 15:00.
func (m *Machine) surroundings(now time.Time) float64 {
	const day = 24 * time.Hour
	t := float64(now.UnixNano()%int64(day)) / float64(day)
	return m.ambient - 2.2*math.Cos(2*math.Pi*(t-3.0/24))
}

// demand is the load that the process asks for, 0 or most of 1.
func (m *Machine) demand(now time.Time) float64 {
	at := (time.Duration(now.UnixNano()) + m.phase) % m.profile.cycle
	if float64(at) < m.profile.duty*float64(m.profile.cycle) {
		return 0.9
	}
	return 0
}

// advance integrates load and temperature over dt: first-order lags, exact for
// any step.
func (m *Machine) advance(dt time.Duration, ambient float64) {
	m.load += (m.demand(m.now) - m.load) * reached(dt, 8*time.Second)
	target := ambient + m.profile.rise*m.load + m.faults.heat(m.now)
	m.housing += (target - m.housing) * reached(dt, m.profile.inertia)
}

// reached is the share of a change that a lag of time constant tau makes in dt.
func reached(dt, tau time.Duration) float64 {
	x := float64(dt) / float64(tau)
	if x < 1e-3 {
		return x
	}
	return 1 - math.Exp(-x)
}

// sense reads the sensors: the truth, noise, and what faults do to it.
func (m *Machine) sense(now time.Time, ambient float64) Reading {
	p, load := m.profile, m.load
	r := Reading{
		DeviceID:    m.id,
		Kind:        m.kind,
		Time:        now,
		Temperature: m.housing + 0.08*m.random.NormFloat64(),
		Humidity:    min(max(46-1.8*(ambient-20)+0.4*m.random.NormFloat64(), 5), 98),
		Pressure:    1 + (p.pressure-1)*load + 0.004*p.pressure*m.random.NormFloat64(),
		Vibration:   max(0.05+p.vibration*load*load+0.06*m.random.NormFloat64(), 0),
		Power:       max(p.power*(0.04+0.96*load)*(1+0.01*m.random.NormFloat64()), 0),
	}
	if load > 0.1 {
		r.State = Running
	}
	m.faults.distort(&r, m.random)
	if r.Temperature > alarmAbove {
		r.State = Alarm
	}
	return r
}

// alarmAbove is the temperature in °C over which the machine's own controller
// raises its alarm, as the threshold job of weir dev does.
const alarmAbove = 30
