// Package anomaly holds the two detectors of the query language,
// AnomalyDetection_SpikeAndDip and AnomalyDetection_ChangePoint. Both are
// ML.NET's detectors for independent, identically distributed values behind the
// rule by which Stream Analytics makes events uniform: the slots of time that
// passed without an event are filled with copies of the next one.
//
// A detector is the model of one partition key. It sees no clock: equal events
// give equal results. Its memory is that of its history. What is no number,
// NULL and WHEN are the caller's.
package anomaly

import (
	"fmt"
	"math"
	"strings"

	"github.com/weir-iot/weir/saql"
)

// A Mode is the side on which SpikeAndDip looks for anomalies.
type Mode uint8

// The modes. ParseMode reads the names that a query uses.
const (
	SpikesAndDips Mode = iota
	Spikes
	Dips
)

// ParseMode returns the mode that a query calls name, in any case; as in Stream
// Analytics, any other name is SpikesAndDips.
func ParseMode(name string) Mode {
	switch strings.ToLower(name) {
	case "spikes":
		return Spikes
	case "dips":
		return Dips
	default:
		return SpikesAndDips
	}
}

// side returns the p-value of the mode's side, never 0 or 1.
func (m Mode) side(p float64) float64 {
	switch m {
	case Spikes:
	case Dips:
		p = 1 - p
	default:
		p = min(p, 1-p)
	}
	if p < minP {
		return minP
	}
	if p > maxP {
		return maxP
	}
	return p // which may not be a number
}

const minP, maxP = 1e-8, 1 - 1e-8

// Options are the arguments of a detector. The zero Mode looks at both sides.
type Options struct {
	Confidence float64    // percent, 1 to 100
	History    int        // events that the model remembers, 1 or more
	Mode       Mode       // of SpikeAndDip only
	Interval   saql.Ticks // one slot of time: LIMIT DURATION / History, rounded down, 1 or more
	Truncate   bool       // use the whole percents of Confidence only, as the runtime of 2020 did
}

// A Result is what a detector says about one event.
type Result struct {
	IsAnomaly bool
	Score     float64 // SpikeAndDip: p-value, low is anomalous; ChangePoint: martingale, high is anomalous
}

// narrow returns x as the models see it. -0 becomes 0: then no distance is -0,
// of which erf would be another.
func narrow(x float64) float32 { return float32(x) + 0 }

// result is the Result of a score; one that is not a number is reported as 0.
func result(anomaly bool, score float64) Result {
	if math.IsNaN(score) {
		return Result{}
	}
	return Result{anomaly, score}
}

// maxHistory bounds the memory of a detector.
const maxHistory = 1 << 20

func (o Options) check() (Options, error) {
	switch {
	case !(o.Confidence >= 1 && o.Confidence <= 100):
		return o, fmt.Errorf("anomaly: confidence %v is not between 1 and 100", o.Confidence)
	case o.History < 1 || o.History > maxHistory:
		return o, fmt.Errorf("anomaly: history of %d events is not between 1 and %d", o.History, maxHistory)
	case o.Interval < 1:
		return o, fmt.Errorf("anomaly: the duration is too short for a history of %d events", o.History)
	}
	if o.Truncate {
		o.Confidence = math.Trunc(o.Confidence)
	}
	return o, nil
}

// significance is the p-value of an event that is just anomalous enough.
func (o Options) significance() float64 { return 1 - o.Confidence/100 }
