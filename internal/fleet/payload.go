package fleet

import (
	"math"
	"strconv"
	"time"
)

// AppendJSON appends r as one JSON object of about 190 bytes:
//
//	{"deviceId":"pump-1","timestamp":"2026-01-01T00:00:00.000Z","temperature":21.43,
//	 "humidity":45.1,"pressure":4.08,"vibration":1.52,"power":6.91,"machine":"pump","state":"running"}
//
// DeviceID must need no escaping: IoT Hub's device ids do not.
func (r *Reading) AppendJSON(b []byte) []byte {
	b = append(b, `{"deviceId":"`...)
	b = append(b, r.DeviceID...)
	b = append(b, `","timestamp":"`...)
	b = appendTime(b, r.Time)
	b = append(b, `","temperature":`...)
	b = appendFixed(b, r.Temperature, 2)
	b = append(b, `,"humidity":`...)
	b = appendFixed(b, r.Humidity, 1)
	b = append(b, `,"pressure":`...)
	b = appendFixed(b, r.Pressure, 2)
	b = append(b, `,"vibration":`...)
	b = appendFixed(b, r.Vibration, 2)
	b = append(b, `,"power":`...)
	b = appendFixed(b, r.Power, 2)
	b = append(b, `,"machine":"`...)
	b = append(b, r.Kind.String()...)
	b = append(b, `","state":"`...)
	b = append(b, r.State.String()...)
	return append(b, `"}`...)
}

// AppendSized is AppendJSON padded with a property "pad" to size bytes. An
// object that is longer, or too little shorter to hold the property, stays as
// it is.
func (r *Reading) AppendSized(b []byte, size int) []byte {
	const key = `,"pad":"`
	start := len(b)
	b = r.AppendJSON(b)
	n := size - (len(b) - start) - len(key) - len(`"`)
	if n < 0 {
		return b
	}
	b = append(b[:len(b)-1], key...)
	for n > 0 {
		chunk := padding[:min(n, len(padding))]
		b = append(b, chunk...)
		n -= len(chunk)
	}
	return append(b, `"}`...)
}

const padding = "the quick brown fox jumps over the lazy dog, then rests upon the weir. "

// appendTime appends t in UTC as RFC 3339 with milliseconds.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendDigits(b, year, 4)
	b = appendDigits(append(b, '-'), int(month), 2)
	b = appendDigits(append(b, '-'), day, 2)
	b = appendDigits(append(b, 'T'), hour, 2)
	b = appendDigits(append(b, ':'), minute, 2)
	b = appendDigits(append(b, ':'), second, 2)
	b = appendDigits(append(b, '.'), t.Nanosecond()/1e6, 3)
	return append(b, 'Z')
}

func appendDigits(b []byte, n, width int) []byte {
	for range width {
		b = append(b, '0')
	}
	for i := len(b) - 1; n > 0 && i >= len(b)-width; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// appendFixed appends v with decimals digits behind the point, without an exponent.
func appendFixed(b []byte, v float64, decimals int) []byte {
	scale := 1
	for range decimals {
		scale *= 10
	}
	n := int64(math.Round(v * float64(scale)))
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	b = strconv.AppendInt(b, n/int64(scale), 10)
	return appendDigits(append(b, '.'), int(n%int64(scale)), decimals)
}
