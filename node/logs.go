package node

import "github.com/weir-iot/weir/eventlog"

// A namedLog is an open log: that of telemetry, or one of the configuration's.
type namedLog struct {
	eventlog.Log
	name  string
	stats func() logStats // asks the engine for its health
}

// logStats is what health tells about a log, whatever its engine.
type logStats struct {
	engine  string
	next    []int64 // per partition: behind the newest durable record; nil: not known
	failed  error
	waiting string // why acknowledgements are withheld, or ""
	details any
}

// retainer returns the log's own retention, nil where it has none.
func (l *namedLog) retainer() eventlog.Retainer {
	r, _ := l.Log.(eventlog.Retainer)
	return r
}
