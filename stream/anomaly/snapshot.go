package anomaly

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/weir-iot/weir/saql"
)

// A snapshot is, little-endian:
//
//	last event    int64    ticks
//	distances     float64
//	values        uint32   how many of
//	              float32  each, the oldest first
//
// of a SpikeAndDip of a long history further:
//
//	exponent      int16    of the width of the field's cells
//
// and of a ChangePoint, where there are values:
//
//	total         float64
//	quiet         uint32
//	bets          float64  each of the history, the oldest first

var errState = errors.New("anomaly: the state is damaged")

// Snapshot appends the state of the detector; equal states give equal bytes.
func (d *SpikeAndDip) Snapshot(b []byte) []byte {
	b = d.history.append(d.slots.append(b))
	if d.history.far != nil {
		b = binary.LittleEndian.AppendUint16(b, uint16(d.history.far.exponent))
	}
	return b
}

// Restore replaces the state by one that a detector of the same Options gave.
func (d *SpikeAndDip) Restore(state []byte) error {
	r := reader{rest: state}
	s, h := r.model(d.slots, estimable(d.options.History))
	if h.far != nil {
		h.far.exponent = int(int16(r.uint16()))
	}
	if err := r.end(); err != nil {
		return err
	}
	d.slots, d.history = s, h
	return nil
}

// Snapshot appends the state of the detector; equal states give equal bytes.
func (d *ChangePoint) Snapshot(b []byte) []byte {
	b = d.history.append(d.slots.append(b))
	if d.bets == nil {
		return b
	}
	b = appendFloat(b, d.total)
	b = binary.LittleEndian.AppendUint32(b, uint32(d.quiet))
	for i := range d.bets {
		b = appendFloat(b, d.bets[(d.next+i)%len(d.bets)])
	}
	return b
}

// Restore replaces the state by one that a detector of the same Options gave.
func (d *ChangePoint) Restore(state []byte) error {
	r := reader{rest: state}
	s, h := r.model(d.slots, newHistory(d.options.History))
	var total float64
	var quiet int
	var bets []float64
	if h.n > 0 {
		total, quiet, bets = r.float(), int(r.uint32()), r.floats(d.options.History)
	}
	if err := r.end(); err != nil {
		return err
	}
	d.slots, d.history = s, h
	d.total, d.quiet, d.bets, d.next = total, quiet, bets, 0
	return nil
}

func (s *slots) append(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(b, uint64(s.last))
}

func (h *history) append(b []byte) []byte {
	b = appendFloat(b, h.sum)
	b = binary.LittleEndian.AppendUint32(b, uint32(h.n))
	older, newer := h.parts()
	for _, values := range [2][]float32{older, newer} {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	return b
}

func appendFloat(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}

// A reader takes a snapshot apart; of what is missing it gives zeros, and end tells.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.err = errState
		r.rest = nil
		return make([]byte, n)
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) uint16() uint16 { return binary.LittleEndian.Uint16(r.take(2)) }
func (r *reader) uint32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *reader) uint64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *reader) float() float64 { return math.Float64frombits(r.uint64()) }

func (r *reader) floats(n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = r.float()
	}
	return values
}

func (r *reader) model(s slots, h history) (slots, history) {
	s.last = saql.Ticks(r.uint64())
	h.sum = r.float()
	n := r.uint32()
	if n > uint32(len(h.ring)) {
		r.err = fmt.Errorf("anomaly: the state is of a longer history: %d events, not %d", n, len(h.ring))
		return s, h
	}
	for range n {
		h.push(math.Float32frombits(r.uint32()))
	}
	return s, h
}

func (r *reader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		return errState
	}
	return r.err
}
