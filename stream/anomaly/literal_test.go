package anomaly

import (
	"math"

	"github.com/weir-iot/weir/saql"
)

// A literal is the operator as its description reads, without a thought for
// speed: it is what the detectors must agree with to the last bit.
type literal struct {
	w          int
	confidence float64
	mode       Mode
	interval   saql.Ticks
	change     bool // ChangePoint
	last       saql.Ticks

	values    []float32 // the oldest first
	distances float64
	bets      []float64
	total     float64
	counter   int
}

func (l *literal) process(t saql.Ticks, x float64) Result {
	bucket := func(t saql.Ticks) saql.Ticks { return (t - 1) / l.interval }
	missed := bucket(t) - bucket(l.last) - 1
	l.last = t
	var reported Result
	for k := saql.Ticks(0); k < missed && k < saql.Ticks(l.w); k++ {
		if r := l.detect(x); r.IsAnomaly && !reported.IsAnomaly {
			reported = r
		}
	}
	own := l.detect(x)
	if reported.IsAnomaly {
		return reported
	}
	return own
}

func (l *literal) detect(x float64) Result {
	alert, p, martingale := l.raw(float32(x))
	score := p
	if l.change {
		score = martingale
	}
	if math.IsNaN(score) {
		return Result{IsAnomaly: false, Score: 0}
	}
	return Result{alert, score}
}

func (l *literal) raw(x float32) (alert bool, p, martingale float64) {
	p = l.kernel(x)
	switch {
	case l.change || l.mode == SpikesAndDips:
		if !math.IsNaN(p) {
			p = math.Min(p, 1-p)
		}
	case l.mode == Dips:
		p = 1 - p
	}
	if p < 1e-8 {
		p = 1e-8
	} else if p > 1-1e-8 {
		p = 1 - 1e-8
	}
	full := func() bool { return len(l.values) == l.w }
	if full() {
		l.values = l.values[1:]
	}
	l.values = append(l.values, x)
	if !l.change {
		return full() && p <= 1-l.confidence/100, p, 0
	}

	power := func(p float64) float64 { return math.Log(0.1) + -0.9*math.Log(p) }
	bet := power(p)
	if len(l.bets) == 0 {
		for range l.w {
			l.bets = append(l.bets, bet)
		}
		l.total += float64(l.w) * bet
	} else {
		l.total += bet
		l.total -= l.bets[0]
		l.bets = append(l.bets[1:], bet)
	}
	martingale = exp(l.total)
	if full() {
		alert = martingale >= exp(float64(l.w)*power(1-l.confidence/100))
		if alert {
			if l.counter > 0 {
				alert = false
			} else {
				l.counter = l.w
			}
		}
		l.counter = max(l.counter-1, 0)
	}
	return alert, p, martingale
}

func (l *literal) kernel(x float32) float64 {
	n := len(l.values)
	if n == 0 {
		return 0.5
	}
	h := 1.0
	if n > 1 {
		h = math.Sqrt(l.distances) / float64(n)
	}
	h = math.Max(math.Sqrt2*h, 1e-6)
	p := 0.0
	for _, b := range l.values {
		diff := float64(x) - float64(b)
		p -= abramowitzStegun(diff / h)
		l.distances += float64(diff * diff)
	}
	p = 0.5 + p/(2*float64(n))
	if n == l.w {
		oldest := l.values[0]
		for _, b := range l.values[1:] {
			diff := float64(oldest - b) // rounded to float32
			l.distances -= float64(diff * diff)
		}
		diff := float64(oldest) - float64(x)
		l.distances -= float64(diff * diff)
	}
	return p
}

func abramowitzStegun(x float64) float64 {
	if math.IsInf(x, 0) {
		return math.Copysign(1, x)
	}
	t := 1 / (1 + float64(0.3275911*math.Abs(x)))
	sum := float64(1.061405429*t) + -1.453152027
	sum = float64(sum*t) + 1.421413741
	sum = float64(sum*t) + -0.284496736
	sum = float64(sum*t) + 0.254829592
	v := 1 - float64(float64(sum*t)*exp(-float64(x*x)))
	if x >= 0 {
		return v
	}
	return -v
}
