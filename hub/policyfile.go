package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// maxPolicyFile bounds the policy file, in bytes.
const maxPolicyFile = 1 << 20

// policyJSON is one element of the policy file, a JSON array.
type policyJSON struct {
	Name         string   `json:"name"`
	Permissions  []string `json:"permissions"`
	PrimaryKey   Secret   `json:"primaryKey"`
	SecondaryKey Secret   `json:"secondaryKey"`
}

// LoadPolicies reads the policy file, or writes one with the built-in policies
// and fresh keys where there is none (mode 0600, its folder 0700). A file that
// others may read, or that is unreadable, empty or malformed, is an error that
// names file, line and remedy: rights never fall back to something else.
func LoadPolicies(path string) (*Policies, error) {
	b, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		p := NewPolicies()
		if err := p.write(path); err != nil {
			return nil, fmt.Errorf("hub: writing policies: %w", err)
		}
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("hub: reading policies: %w", err)
	}
	p, offset, err := parsePolicies(b)
	if err != nil {
		line := 1 + bytes.Count(b[:min(offset, int64(len(b)))], []byte("\n"))
		return nil, fmt.Errorf("hub: %s:%d: %w; mend the file, or move it away for new keys", path, line, err)
	}
	return p, nil
}

func readPrivate(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s holds keys, and its mode %04o lets others at them: chmod 600 %s", path, mode, path)
	}
	if info.Size() > maxPolicyFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxPolicyFile)
	}
	return io.ReadAll(io.LimitReader(f, maxPolicyFile))
}

// parsePolicies returns also the offset of what an error is about.
func parsePolicies(b []byte) (*Policies, int64, error) {
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, 0, errors.New("the file is empty")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil, 0, errors.New("want a JSON array of policies")
	}
	p := &Policies{byName: map[string]Policy{}}
	for dec.More() {
		start := nextElement(b, dec.InputOffset())
		var in policyJSON
		if err := dec.Decode(&in); err != nil {
			return nil, errorOffset(err, start, int64(len(b))), err
		}
		if err := p.add(in); err != nil {
			return nil, start, err
		}
	}
	if _, err := dec.Token(); err != nil { // the closing bracket
		return nil, int64(len(b)), errors.New("the array does not end")
	}
	if end := dec.InputOffset(); len(bytes.TrimSpace(b[end:])) > 0 {
		return nil, nextElement(b, end), errors.New("something stands behind the array")
	}
	if len(p.byName) == 0 {
		return nil, 0, errors.New("there is no policy")
	}
	return p, 0, nil
}

// nextElement skips the white space and comma in front of an array element.
func nextElement(b []byte, from int64) int64 {
	rest := b[from:]
	return from + int64(len(rest)-len(bytes.TrimLeft(rest, " \t\r\n,")))
}

func errorOffset(err error, start, end int64) int64 {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return max(syntax.Offset-1, start)
	case errors.As(err, &kind):
		return max(kind.Offset-1, start)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return end
	}
	return start
}

func (p *Policies) add(in policyJSON) error {
	if in.Name == "" {
		return errors.New("a policy has no name")
	}
	if _, ok := p.byName[in.Name]; ok {
		return fmt.Errorf("policy %q stands twice", in.Name)
	}
	policy := Policy{Name: in.Name, PrimaryKey: in.PrimaryKey, SecondaryKey: in.SecondaryKey}
	for _, name := range in.Permissions {
		bit := slices.Index(permissionNames[:], name)
		if bit < 0 {
			return fmt.Errorf("policy %q: unknown permission %q: there are %q", in.Name, name, permissionNames)
		}
		policy.Permissions |= 1 << bit
	}
	if policy.Permissions == 0 {
		return fmt.Errorf("policy %q has no permission: there are %q", in.Name, permissionNames)
	}
	for what, key := range map[string]Secret{"primaryKey": in.PrimaryKey, "secondaryKey": in.SecondaryKey} {
		if err := key.check(what); err != nil {
			return fmt.Errorf("policy %q: %s must be base64 of 16 to 64 bytes", in.Name, what)
		}
	}
	p.byName[in.Name] = policy
	return nil
}

// write makes the file appear whole or not at all, and never over another.
func (p *Policies) write(path string) (err error) {
	var out []policyJSON
	for _, policy := range p.All() {
		in := policyJSON{Name: policy.Name, PrimaryKey: policy.PrimaryKey, SecondaryKey: policy.SecondaryKey}
		for i, name := range permissionNames {
			if policy.Permissions&(1<<i) != 0 {
				in.Permissions = append(in.Permissions, name)
			}
		}
		out = append(out, in)
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".policies-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(b, '\n'))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
