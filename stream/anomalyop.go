package stream

import (
	"encoding/binary"
	"fmt"

	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/stream/anomaly"
)

// A detector is a model of stream/anomaly.
type detector interface {
	Process(t saql.Ticks, x float64) anomaly.Result
	Snapshot(b []byte) []byte
	Restore(state []byte) error
}

// A detection is AnomalyDetection_SpikeAndDip or AnomalyDetection_ChangePoint:
// a record {IsAnomaly bigint, Score float}. That of a row for which WHEN does
// not hold is empty; that of NULL is NULL. The model sees neither.
type detection struct {
	detector
	result saql.Record // what next returns, until it is called again
}

func newDetection(d detector) *detection {
	return &detection{d, saql.Record{Fields: []saql.Field{{Name: "IsAnomaly"}, {Name: "Score"}}}}
}

func (d *detection) next(t saql.Ticks, args []saql.Value, keep bool) (saql.Value, error) {
	if !keep {
		return saql.RecordValue(&saql.Record{}), nil
	}
	var r anomaly.Result
	switch x := args[0]; x.Kind() {
	case saql.KindBigint:
		r = d.Process(t, float64(x.Bigint()))
	case saql.KindFloat:
		r = d.Process(t, x.Float())
	default:
		return saql.Null, nil
	}
	alarm := int64(0)
	if r.IsAnomaly {
		alarm = 1
	}
	d.result.Fields[0].Value = saql.Bigint(alarm)
	d.result.Fields[1].Value = saql.Float(r.Score)
	return saql.RecordValue(&d.result), nil
}

func (d *detection) append(b []byte) []byte {
	state := d.detector.Snapshot(nil)
	return append(binary.AppendUvarint(b, uint64(len(state))), state...)
}

func (d *detection) restore(r *reader) {
	if d.detector.Restore([]byte(r.text())) != nil {
		r.fail()
	}
}

// checkNumber refuses what a model cannot be given.
func checkNumber(v saql.Value) error {
	switch v.Kind() {
	case saql.KindNull, saql.KindBigint, saql.KindFloat:
		return nil
	default:
		return fmt.Errorf("anomaly detection takes numbers, not '%s'; CAST it", v.Kind())
	}
}

// longestIdle is how long a model is kept for a key without rows. That is not
// LIMIT DURATION, since a gap does not make a model new: the copies that fill
// the gap are compared with what was before it, and may be anomalies. It is as
// long as four of the longest limits.
const longestIdle = 4 * saql.MaxWindow

// spikeAndDipFunction compiles AnomalyDetection_SpikeAndDip.
func (c *compiler) spikeAndDipFunction(sc *scope, e *saql.Call) (*overFunction, error) {
	if err := argumentCount(e, 4, 4, "AnomalyDetection_SpikeAndDip(x, 95, 120, 'spikesanddips')"); err != nil {
		return nil, err
	}
	f, o, err := c.detectionFunction(sc, e)
	if err != nil {
		return nil, err
	}
	mode, err := c.expr(sc, e.Args[3])
	if err != nil {
		return nil, err
	}
	if !mode.constant || mode.value.Kind() != saql.KindString {
		return nil, saql.Errorf(e.Args[3].Pos(), "the mode is 'spikes', 'dips' or 'spikesanddips'")
	}
	o.Mode = anomaly.ParseMode(mode.value.Str())
	if _, err := anomaly.NewSpikeAndDip(o); err != nil {
		return nil, saql.Errorf(e.At, "%s: %v", e.Name, err)
	}
	f.make = func() memory {
		d, _ := anomaly.NewSpikeAndDip(o) // checked above
		return newDetection(d)
	}
	return f, nil
}

// changePointFunction compiles AnomalyDetection_ChangePoint.
func (c *compiler) changePointFunction(sc *scope, e *saql.Call) (*overFunction, error) {
	if err := argumentCount(e, 3, 3, "AnomalyDetection_ChangePoint(x, 80, 120)"); err != nil {
		return nil, err
	}
	f, o, err := c.detectionFunction(sc, e)
	if err != nil {
		return nil, err
	}
	if _, err := anomaly.NewChangePoint(o); err != nil {
		return nil, saql.Errorf(e.At, "%s: %v", e.Name, err)
	}
	f.make = func() memory {
		d, _ := anomaly.NewChangePoint(o) // checked above
		return newDetection(d)
	}
	return f, nil
}

// detectionFunction compiles the value, the confidence and the size of the history.
func (c *compiler) detectionFunction(sc *scope, e *saql.Call) (*overFunction, anomaly.Options, error) {
	var o anomaly.Options
	f, err := c.overLimit(sc, e)
	if err != nil {
		return nil, o, err
	}
	if e.Star {
		return nil, o, saql.Errorf(e.At, "%s takes a number, not the whole row", e.Name)
	}
	ops, err := c.exprs(sc, e.Args[:3])
	if err != nil {
		return nil, o, err
	}
	switch v := ops[1].value; v.Kind() {
	case saql.KindBigint:
		o.Confidence = float64(v.Bigint())
	case saql.KindFloat:
		o.Confidence = v.Float()
	default:
		return nil, o, saql.Errorf(e.Args[1].Pos(), "the confidence is a constant number from 1 to 100")
	}
	if v := ops[2].value; v.Kind() == saql.KindBigint && v.Bigint() > 0 {
		o.History = int(v.Bigint())
	} else {
		return nil, o, saql.Errorf(e.Args[2].Pos(), "the size of the history is a constant number of events")
	}
	o.Interval = f.limit / saql.Ticks(o.History)
	f.args = []evaluator{ops[0].eval}
	f.check = checkNumber
	f.idle = longestIdle
	return f, o, nil
}
