package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/weir-iot/weir/config"
	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/pki"
	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/stream"
)

// A Finding is the result of one check: a Problem stops a start, a Notice does not.
type Finding struct {
	Subject string `json:"subject"`
	Detail  string `json:"detail,omitempty"`
	Notice  string `json:"notice,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// Verdict is "ok", "note" or "wrong".
func (f Finding) Verdict() string {
	switch {
	case f.Problem != "":
		return "wrong"
	case f.Notice != "":
		return "note"
	}
	return "ok"
}

// Text is what there is to say.
func (f Finding) Text() string { return cmp.Or(f.Problem, f.Notice, f.Detail) }

// Check says whether Open would succeed. It changes nothing: what Open would
// make is not made.
func Check(ctx context.Context, c *config.Config) []Finding {
	running, err := ReadState(c.Data)
	findings := []Finding{checkData(c.Data, running)}
	if err != nil && !errors.Is(err, ErrNotRunning) && findings[0].Problem == "" {
		findings[0].Problem = err.Error()
	}
	findings = append(findings, checkPolicies(c.Data), checkCertificate(c))
	if c.Does(config.RoleStream) {
		findings = append(findings, checkJobs(ctx, c)...)
	}
	if running != nil {
		return append(findings, Finding{Subject: "ports", Detail: fmt.Sprintf("process %d serves MQTT at %s, HTTPS at %v, the API at %s", running.PID, running.MQTT, running.HTTPS, running.API)})
	}
	return append(findings, checkPorts(ctx, c)...)
}

// another is the remedy of a data folder that will not do.
const another = "choose another with --data"

func checkData(dir string, running *State) Finding {
	f := Finding{Subject: "data folder", Detail: dir}
	if running != nil {
		f.Notice = fmt.Sprintf("%s is in use by the weir of process %d, started %s", dir, running.PID, running.Started.Local().Format(time.DateTime))
		return f
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Detail += " (made at the first start)"
		if _, err := os.Stat(filepath.Dir(filepath.Clean(dir))); err != nil {
			f.Notice = fmt.Sprintf("%s is not there, nor is the folder above it: both are made at the first start", dir)
		}
	case err != nil:
		f.Problem = fmt.Sprintf("%v: %s", err, another)
	case !info.IsDir():
		f.Problem = fmt.Sprintf("%s is not a folder: %s", dir, another)
	default:
		if err := writable(dir); err != nil {
			f.Problem = fmt.Sprintf("%s cannot be written (%v): run weir as the user that owns it, or %s", dir, cause(err), another)
		}
	}
	return f
}

// writable tries, by a file that is gone at once.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".check-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func checkPolicies(dir string) Finding {
	f := Finding{Subject: "policies", Detail: PolicyFile(dir)}
	if _, err := os.Stat(f.Detail); errors.Is(err, fs.ErrNotExist) {
		f.Detail += " (made at the first start)"
		return f
	}
	policies, err := hub.LoadPolicies(f.Detail)
	if err != nil {
		return Finding{Subject: f.Subject, Problem: err.Error()}
	}
	f.Detail = fmt.Sprintf("%d in %s", len(policies.All()), f.Detail)
	return f
}

func checkCertificate(c *config.Config) Finding {
	f := Finding{Subject: "certificate"}
	end, err := pki.Expiry(filepath.Join(c.Data, tlsDir), time.Now())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Detail = "made at the first start"
	case err != nil:
		f.Problem = err.Error()
	default:
		f.Detail = fmt.Sprintf("of %s, until %s, renewed before", CAFile(c.Data), end.Format(time.DateOnly))
	}
	return f
}

// checkJobs compiles the queries of the configuration.
func checkJobs(ctx context.Context, c *config.Config) []Finding {
	tables, err := loadReferences(c)
	if err != nil {
		return []Finding{{Subject: "reference data", Problem: err.Error()}}
	}
	functions, err := loadFunctions(ctx, c)
	if err != nil {
		return []Finding{{Subject: "functions", Problem: err.Error()}}
	}
	defer functions.Close()
	env := environment(c, tables, functions.For())
	var findings []Finding
	for _, name := range slices.Sorted(maps.Keys(c.Jobs)) {
		f := Finding{Subject: "job " + name, Detail: cmp.Or(c.Jobs[name].Query, "built in")}
		text, err := queryOf(c.Jobs[name])
		if err == nil {
			_, err = stream.Prepare(text, env)
		}
		if bad := saql.Errors(err); len(bad) > 0 {
			err = fmt.Errorf("%s: %w", f.Detail, bad[0])
		}
		if err != nil {
			f.Problem = err.Error()
		}
		findings = append(findings, f)
	}
	return findings
}

// checkPorts binds each port and gives it back.
func checkPorts(ctx context.Context, c *config.Config) []Finding {
	var findings []Finding
	for _, p := range []struct{ what, address, key string }{
		{"MQTT", c.MQTT.Listen, "mqtt.listen or --mqtt"}, {"MQTT without TLS", c.MQTT.Plain, "mqtt.plain"},
		{"HTTPS", c.HTTPS.Listen, "https.listen or --https"}, {"HTTPS, standard port", c.HTTPS.Standard, "https.standard"},
		{"API", c.API.Listen, "api.listen or --api"},
	} {
		if p.address == "" {
			continue
		}
		f := Finding{Subject: p.what, Detail: p.address}
		l, err := bind(ctx, p.address, p.what, p.key)
		switch {
		case err == nil:
			_ = l.Close() // nothing was served on it
		case p.key == "https.standard":
			f = Finding{Subject: p.what, Notice: err.Error()}
		default:
			f = Finding{Subject: p.what, Problem: err.Error()}
		}
		findings = append(findings, f)
	}
	return findings
}
