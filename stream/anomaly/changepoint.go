package anomaly

import (
	"math"

	"github.com/weir-iot/weir/saql"
)

// epsilon of the power martingale.
const epsilon = 0.1

// A ChangePoint finds where the values stop to come from one distribution. It
// bets against that with each event; the score is what it won over the history.
type ChangePoint struct {
	options   Options
	slots     slots
	history   history
	threshold float64 // of the score

	bets  []float64 // logarithms of the gains of the last events, a ring; nil before the first event
	next  int       // index of the oldest bet
	total float64   // of bets, as it was rounded on the way
	quiet int       // events until the next anomaly may be reported
}

// NewChangePoint returns a detector without history.
func NewChangePoint(o Options) (*ChangePoint, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	return &ChangePoint{
		options:   o,
		slots:     slots{interval: o.Interval},
		history:   newHistory(o.History),
		threshold: exp(float64(o.History) * gain(o.significance())),
	}, nil
}

// gain is the logarithm of what a bet on an event of that p-value wins.
func gain(p float64) float64 { return lnEpsilon + float64((epsilon-1)*math.Log(p)) }

var lnEpsilon = math.Log(epsilon)

// Process takes the next event; as SpikeAndDip.Process.
func (d *ChangePoint) Process(t saql.Ticks, x float64) Result {
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
func (d *ChangePoint) impute(x float32, n int) (found Result) {
	if d.history.n == 0 {
		return d.begin(x, n)
	}
	for range n {
		if r := d.observe(x); r.IsAnomaly && !found.IsAnomaly {
			found = r
		}
	}
	return found
}

// begin is impute before the first event, without a history of copies to look
// at for each copy: they are as far from it as x is from x.
func (d *ChangePoint) begin(x float32, n int) (found Result) {
	d.history.fill(x, n)
	below := 0.0
	for before := range n {
		p := SpikesAndDips.side(share(below, before))
		found = d.bet(p, before+1 == d.options.History) // an anomaly can only be the last
		below += erf(float64(x - x))
	}
	if !found.IsAnomaly {
		return Result{}
	}
	return found
}

// observe takes one event of a uniform series.
func (d *ChangePoint) observe(x float32) Result {
	p := SpikesAndDips.side(d.history.score(x))
	return d.bet(p, d.history.full())
}

// bet takes the p-value of an event, and whether the history is full with it.
func (d *ChangePoint) bet(p float64, full bool) Result {
	g := gain(p)
	if d.bets == nil {
		d.bets = make([]float64, d.options.History)
		for i := range d.bets {
			d.bets[i] = g
		}
		d.total = float64(len(d.bets)) * g
	} else {
		d.total += g
		d.total -= d.bets[d.next]
		d.bets[d.next] = g
		d.next = (d.next + 1) % len(d.bets)
	}
	score := exp(d.total)
	return result(full && d.alert(score), score)
}

// alert tells whether to report a score of a full history: one anomaly per history.
func (d *ChangePoint) alert(score float64) bool {
	report := score >= d.threshold && d.quiet == 0
	if report {
		d.quiet = d.options.History
	}
	d.quiet = max(d.quiet-1, 0)
	return report
}
