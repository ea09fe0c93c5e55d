package hub

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/weir-iot/weir/internal/sas"
)

// A Permission is what a policy allows.
type Permission uint8

const (
	RegistryRead Permission = 1 << iota
	RegistryWrite
	ServiceConnect
	DeviceConnect
)

// permissionNames are IoT Hub's, in the order of the bits.
var permissionNames = [...]string{"RegistryRead", "RegistryWrite", "ServiceConnect", "DeviceConnect"}

// String joins the names with a comma, as IoT Hub writes rights.
func (p Permission) String() string {
	var names []string
	for i, name := range permissionNames {
		if p&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// A Policy is a name with keys that may do what Permissions say, hub-wide.
type Policy struct {
	Name                     string
	Permissions              Permission
	PrimaryKey, SecondaryKey Secret
}

// LogValue shows the name alone.
func (p Policy) LogValue() slog.Value { return slog.StringValue(p.Name) }

// Policies are the shared access policies of a hub. They do not change while it runs.
type Policies struct{ byName map[string]Policy }

// builtin are the policies that every new IoT Hub has.
var builtin = [...]Policy{
	{Name: "iothubowner", Permissions: RegistryRead | RegistryWrite | ServiceConnect | DeviceConnect},
	{Name: "service", Permissions: ServiceConnect},
	{Name: "device", Permissions: DeviceConnect},
	{Name: "registryRead", Permissions: RegistryRead},
	{Name: "registryReadWrite", Permissions: RegistryRead | RegistryWrite},
}

// NewPolicies returns the built-in policies with fresh keys, kept nowhere.
func NewPolicies() *Policies {
	p := &Policies{byName: map[string]Policy{}}
	for _, policy := range builtin {
		policy.PrimaryKey, policy.SecondaryKey = newSecret(), newSecret()
		p.byName[policy.Name] = policy
	}
	return p
}

// Policy returns the policy of that name.
func (p *Policies) Policy(name string) (Policy, bool) {
	policy, ok := p.byName[name]
	return policy, ok
}

// All returns the policies in order of name.
func (p *Policies) All() []Policy {
	return slices.SortedFunc(maps.Values(p.byName), func(a, b Policy) int { return cmp.Compare(a.Name, b.Name) })
}

// ConnectionString is what a service's SDK is configured with.
func (p *Policies) ConnectionString(policy, host string) (string, error) {
	found, ok := p.byName[policy]
	if !ok {
		return "", ErrArgument.With("no policy %q: there are %s", policy, strings.Join(slices.Sorted(maps.Keys(p.byName)), ", "))
	}
	c := sas.ConnectionString{HostName: host, SharedAccessKeyName: policy, SharedAccessKey: string(found.PrimaryKey)}
	return c.Encode(), nil
}
