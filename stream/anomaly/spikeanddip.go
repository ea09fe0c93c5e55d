package anomaly

import (
	"math"

	"github.com/weir-iot/weir/saql"
)

// A SpikeAndDip finds values that are unlike the history: its score is the
// share of the history, smoothed, that lies beyond the value.
type SpikeAndDip struct {
	options Options
	slots   slots
	history history
}

// NewSpikeAndDip returns a detector without history.
func NewSpikeAndDip(o Options) (*SpikeAndDip, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	return &SpikeAndDip{options: o, slots: slots{interval: o.Interval}, history: estimable(o.History)}, nil
}

// Process takes the next event. Intervals without an event since the last one
// count as events of the same value that came before it: if one of those is an
// anomaly, the first such result is that of the event. x that is not a number
// has the zero Result and leaves no trace in the history.
func (d *SpikeAndDip) Process(t saql.Ticks, x float64) Result {
	missed := d.slots.pass(t, d.options.History)
	value := narrow(x)
	if value != value {
		return Result{}
	}
	found := d.impute(value, missed)
	own := d.observe(value)
	if found.IsAnomaly {
		return found
	}
	return own
}

// impute takes n copies of x and returns the first anomaly among them.
func (d *SpikeAndDip) impute(x float32, n int) (found Result) {
	copies := 0
	if d.history.n == 0 && n > 1 {
		copies = n - 1 // of them, none can be an anomaly: the history is not full
		d.history.fill(x, copies)
	}
	for ; copies < n; copies++ {
		if found.IsAnomaly || d.tooCommon(copies) {
			d.history.absorb(x)
			continue
		}
		found = d.observe(x)
	}
	return found
}

// tooCommon tells that a value of which the history holds so many copies is no
// anomaly. Each copy adds erf(0), or 1e-9, to a sum of the history's size, any
// other value at most 1.
func (d *SpikeAndDip) tooCommon(copies int) bool {
	const margin = 1e-6
	lowest := 0.5 * float64(copies) / float64(d.options.History)
	return lowest-margin > d.options.significance()
}

// observe takes one event of a uniform series.
func (d *SpikeAndDip) observe(x float32) Result {
	p, within := d.history.estimate(x)
	p = d.options.Mode.side(p)
	if d.doubtful(p, within) {
		p = d.options.Mode.side(d.history.density(x))
	}
	d.history.absorb(x)
	return result(d.history.full() && p <= d.options.significance(), p)
}

// doubtful tells that p, right to within, is too near to the line between
// anomalies and others; or so low that its relative error could be seen. Few
// values are: a p-value below this one is that of a value some three standard
// deviations away. Of the others the error is below 1e-9, and mostly 1e-12.
func (d *SpikeAndDip) doubtful(p, within float64) bool {
	const low = 0.02
	return math.Abs(p-d.options.significance()) <= within || within > 0 && p < low
}
