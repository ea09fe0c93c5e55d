package config

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Telemetry is the name of the log that devices write to.
const Telemetry = "telemetry"

// HotJob is the job that brings every message to the hot store. It is there
// without a configuration.
const HotJob = "hot"

// An Input is what a query reads FROM an alias. It names one of the keys below.
type Input struct {
	// A log: telemetry, which is what devices send, or one of logs.
	Log string `yaml:"log"`

	// A file of reference data, which a query joins with a stream. Either its
	// path alone (reference: rooms.csv) or the keys below.
	Reference *Reference `yaml:"reference"`
}

// Reference is a file of reference data.
type Reference struct {
	// The path of the file. It is read again when it changes.
	File string `yaml:"file" alone:"true"`

	// csv (the first line names the columns) or json (an array of objects, or
	// one object per line). Empty: as the file's name ends.
	Format string `yaml:"format"`
}

// An Output is where a query writes INTO an alias. It names one of the keys below.
type Output struct {
	// Alerts: kept, listed by GET /alerts and weir alerts, shown live.
	Alerts *AlertsOutput `yaml:"alerts"`

	// The hot store: each row is a document of the device that its column
	// deviceId names, with its column id as id. Rows without such a device are
	// kept under $job- and the job's name.
	Store *StoreOutput `yaml:"store"`

	// Another log, one of logs: other jobs can read it.
	Log *LogOutput `yaml:"log"`

	// A file: one line of JSON per row. Either its path alone (file: out.jsonl)
	// or the key below.
	File *FileOutput `yaml:"file"`

	// An HTTP endpoint that takes arrays of rows. Rows come at least once: the
	// header X-Weir-First-Row has the id of the first, whose last number counts on.
	// What fails is tried again with growing pauses.
	Webhook *WebhookOutput `yaml:"webhook"`

	// Cloud-to-device messages: each row goes to the device that it names, at
	// least once, with a message id that stays.
	Command *CommandOutput `yaml:"command"`
}

// AlertsOutput keeps rows as alerts.
type AlertsOutput struct {
	// How long an alert is kept.
	TTL time.Duration `yaml:"ttl"`
}

// StoreOutput keeps rows as documents of the hot store.
type StoreOutput struct {
	// How long a document is kept. 0: as store.ttl says.
	TTL time.Duration `yaml:"ttl"`
}

// LogOutput appends rows to a log.
type LogOutput struct {
	// The name of the log. log: clean alone says the same.
	Name string `yaml:"name" alone:"true"`

	// The column that names the sender, whose rows keep their order. Empty:
	// deviceId.
	Key string `yaml:"key"`
}

// FileOutput appends rows to a file.
type FileOutput struct {
	// The path of the file.
	Path string `yaml:"path" alone:"true"`
}

// WebhookOutput posts rows. Rows come at least once, in order; what fails is
// tried again with growing pauses.
type WebhookOutput struct {
	// The URL: https, or http on loopback or a private address.
	URL string `yaml:"url" alone:"true"`

	// The key of the signature. Where it is set, X-Weir-Signature is t=SECONDS,v1=HEX:
	// the HMAC-SHA256 of SECONDS.BODY. Empty: requests are not signed.
	Secret string `yaml:"secret"`

	// Rows of one request at most.
	Batch int `yaml:"batch"`

	// Whether the URL may lead to a loopback, private or link-local address:
	// yes or no. With no, an address of this network is refused, whatever the
	// name in the URL says.
	Private bool `yaml:"private"`
}

// CommandOutput sends rows to devices.
type CommandOutput struct {
	// The column that names the device. Empty: deviceId.
	Device string `yaml:"device"`
}

// A Job runs a query. Its name is its key.
type Job struct {
	// The path of the query, an .asaql file as Azure Stream Analytics takes it.
	Query string `yaml:"query"`

	// How late an event's own time may be against its arrival, at most 480h.
	// Only a query with TIMESTAMP BY has late events.
	Late time.Duration `yaml:"late"`

	// How far events may be out of order by their own time, at most 10m: the
	// results wait as long.
	OutOfOrder time.Duration `yaml:"outOfOrder"`

	// What happens to events beyond late and outOfOrder: adjust (their time is
	// set to the bound) or drop.
	Policy string `yaml:"policy"`

	// The compatibility level of the language: "1.0", "1.1" or "1.2".
	Compatibility string `yaml:"compatibility"`

	// What happens to an event that makes the query fail, such as by a CAST that
	// cannot be: drop (to the job's dead letters, with the reason; counted) or
	// stop (the job).
	Errors string `yaml:"errors"`

	// What happens to a row that its output refuses: retry (for ever; the job
	// waits) or drop (to the dead letters).
	OutputErrors string `yaml:"outputErrors"`

	// Where a job starts that never ran: now, oldest (what the log keeps), or
	// how far back, such as 2h. After that it goes on where it was.
	From string `yaml:"from"`
}

func (a *AlertsOutput) setDefaults() { a.TTL = 7 * 24 * time.Hour }

func (w *WebhookOutput) setDefaults() { w.Batch = 100 }

func (j *Job) setDefaults() {
	*j = Job{Late: 5 * time.Second, Policy: "adjust", Compatibility: "1.2", Errors: "drop", OutputErrors: "retry", From: "now"}
}

// DefaultJob returns the settings of a job that names none.
func DefaultJob() Job {
	var j Job
	j.setDefaults()
	return j
}

// defaultOutputs are there without a configuration.
func defaultOutputs() map[string]Output {
	alerts := &AlertsOutput{}
	alerts.setDefaults()
	return map[string]Output{"AlertOutput": {Alerts: alerts}, HotJob: {Store: &StoreOutput{}}}
}

func defaultJobs() map[string]Job {
	hot := DefaultJob()
	hot.From = "oldest"
	return map[string]Job{HotJob: hot}
}

// kinds names the keys of o that are there.
func (o *Output) kinds() []string {
	var all []string
	for _, k := range []struct {
		name  string
		there bool
	}{
		{"alerts", o.Alerts != nil}, {"store", o.Store != nil}, {"log", o.Log != nil},
		{"file", o.File != nil}, {"webhook", o.Webhook != nil}, {"command", o.Command != nil},
	} {
		if k.there {
			all = append(all, k.name)
		}
	}
	return all
}

// Kind is the kind of o: alerts, store, log, file, webhook or command.
func (o *Output) Kind() string { return strings.Join(o.kinds(), " ") }

// sorted are the keys of m in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
