package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"
)

// The bounds of a job's time policy, as Azure Stream Analytics has them.
const (
	MaxLate       = 20 * 24 * time.Hour
	MaxOutOfOrder = 10 * time.Minute
)

func (f *File) checkLogs() error {
	for _, name := range sorted(f.Logs) {
		key := "logs." + name
		if strings.EqualFold(name, Telemetry) {
			return f.wrong(key, "telemetry is what devices write to: it is set up by the key log")
		}
		l := f.Logs[name]
		if err := f.checkLogAt(key, &l); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) checkInputs() error {
	for _, name := range sorted(f.Inputs) {
		key, in := "inputs."+name, f.Inputs[name]
		switch {
		case in.Log == "" && in.Reference == nil:
			return f.wrong(key, "says not what it is: write log: telemetry, or reference: FILE")
		case in.Log != "" && in.Reference != nil:
			return f.wrong(key, "is both log and reference: keep one")
		case in.Log != "":
			if err := f.knownLog(key+".log", in.Log, true); err != nil {
				return err
			}
		default:
			if err := f.checkReference(key+".reference", in.Reference); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkReference fills in the format that the file's name says.
func (f *File) checkReference(key string, r *Reference) error {
	if r.File == "" {
		return f.wrong(key, "names no file: write reference: rooms.csv")
	}
	if r.Format == "" {
		for _, format := range []string{"csv", "json"} {
			if strings.HasSuffix(strings.ToLower(r.File), "."+format) {
				r.Format = format
			}
		}
		if r.Format == "" {
			return f.wrong(key, "the name %s ends neither in .csv nor in .json: add format", r.File)
		}
	}
	return f.oneOf(key+".format", r.Format, "csv", "json")
}

// knownLog says whether name is a log that can be read, or written to.
func (f *File) knownLog(key, name string, read bool) error {
	known := sorted(f.Logs)
	if read {
		known = append([]string{Telemetry}, known...)
	} else if name == Telemetry {
		return f.wrong(key, "only devices write to telemetry: a job that did would read what it wrote; declare another log in logs")
	}
	if slices.Contains(known, name) {
		return nil
	}
	if near := nearest(name, known); near != "" {
		return f.wrong(key, "there is no log %q: did you mean %s?", name, near)
	}
	return f.wrong(key, "there is no log %q: declare it with logs: { %s: {} }", name, name)
}

func (f *File) checkOutputs() error {
	files := map[string]string{}
	for _, name := range sorted(f.Outputs) {
		key, out := "outputs."+name, f.Outputs[name]
		if out.File != nil {
			path := filepath.Clean(out.File.Path)
			if other, ok := files[path]; ok {
				return f.wrong(key+".file", "is %s, as that of %s is: give each its own", path, other)
			}
			files[path] = name
		}
		switch kinds := out.kinds(); len(kinds) {
		case 1:
		case 0:
			return f.wrong(key, "says not what it is: write one of %s, such as alerts: {}", strings.Join(keysOf(reflect.TypeFor[Output]()), ", "))
		default:
			return f.wrong(key, "is %s: keep one", strings.Join(kinds, " and "))
		}
		if err := f.checkOutput(key, &out); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) checkOutput(key string, out *Output) error {
	switch {
	case out.Alerts != nil && out.Alerts.TTL < time.Minute:
		return f.wrong(key+".alerts.ttl", "%s is less than 1m", out.Alerts.TTL)
	case out.Store != nil && out.Store.TTL != 0 && out.Store.TTL < time.Minute:
		return f.wrong(key+".store.ttl", "%s is less than 1m", out.Store.TTL)
	case out.Log != nil && out.Log.Name == "":
		return f.wrong(key+".log", "names no log: write log: NAME")
	case out.Log != nil:
		return f.knownLog(key+".log", out.Log.Name, false)
	case out.File != nil && out.File.Path == "":
		return f.wrong(key+".file", "names no file: write file: out.jsonl")
	case out.Webhook != nil:
		return f.checkWebhook(key+".webhook", out.Webhook)
	}
	return nil
}

func (f *File) checkWebhook(key string, w *WebhookOutput) error {
	u, err := url.Parse(w.URL)
	switch {
	case w.URL == "":
		return f.wrong(key, "names no URL: write webhook: https://example.com/rows")
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return f.wrong(key+".url", "%q is not a URL: write https://HOST/PATH", w.URL)
	case u.Scheme == "http" && !w.Private:
		return f.wrong(key+".url", "%s sends rows in the clear: use https, or say private: yes for a server in this network", w.URL)
	case w.Batch < 1 || w.Batch > 10_000:
		return f.wrong(key+".batch", "%d is not in 1 to 10000", w.Batch)
	}
	return nil
}

func (f *File) checkJobs() error {
	for _, name := range sorted(f.Jobs) {
		key, j := "jobs."+name, f.Jobs[name]
		if j.Query == "" && !strings.EqualFold(name, HotJob) {
			return f.wrong(key, "names no query: write query: jobs/%s.asaql", name)
		}
		if err := f.checkJob(key, &j); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) checkJob(key string, j *Job) error {
	if j.Late > MaxLate {
		return f.wrong(key+".late", "%s is more than %s", j.Late, MaxLate)
	}
	if j.OutOfOrder > MaxOutOfOrder {
		return f.wrong(key+".outOfOrder", "%s is more than %s", j.OutOfOrder, MaxOutOfOrder)
	}
	for _, c := range []struct {
		key, value string
		choices    []string
	}{
		{"policy", j.Policy, []string{"adjust", "drop"}},
		{"compatibility", j.Compatibility, []string{"1.0", "1.1", "1.2"}},
		{"errors", j.Errors, []string{"drop", "stop"}},
		{"outputErrors", j.OutputErrors, []string{"retry", "drop"}},
	} {
		if err := f.oneOf(key+"."+c.key, c.value, c.choices...); err != nil {
			return err
		}
	}
	if err := CheckFrom(j.From); err != nil {
		return f.wrong(key+".from", "%s", err)
	}
	return nil
}

// CheckFrom says whether from is where a job can start.
func CheckFrom(from string) error {
	if from == "now" || from == "oldest" {
		return nil
	}
	if d, err := time.ParseDuration(from); err != nil || d <= 0 {
		return fmt.Errorf("%q is neither now, nor oldest, nor how far back, such as 2h", from)
	}
	return nil
}
