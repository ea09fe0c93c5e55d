package hub

import (
	"context"
	"io"
	"iter"
	"time"
)

// A Registry keeps identities, twins and queues. Engines pass the suite
// hub/registrytest. Every method is safe for concurrent use; what one returns
// shares no memory with another. Only Write waits for the disk.
type Registry interface {
	// Device returns an identity with its last Activity. ErrDeviceNotFound or
	// ErrModuleNotFound.
	Device(ctx context.Context, id ID) (*Device, error)
	// Twin returns the twin of an identity, without its Device. Errors as Device.
	Twin(ctx context.Context, id ID) (*Twin, error)
	// Devices yields the identities behind after in the order of ID.Compare.
	// Identities written meanwhile may be missing.
	Devices(ctx context.Context, after ID) iter.Seq2[*Device, error]
	// Entries yields the entries of a queue whose sequence is at least from, in
	// order; with AllQueues those of every queue, in order of queue and sequence.
	Entries(ctx context.Context, queue string, from int64) iter.Seq2[Entry, error]
	// Write makes all changes durable, or none of them if the condition of one
	// is not met: ErrPrecondition. Conditions see the state before the call.
	// Changes that are PutActivity alone need not outlive a power cut.
	Write(ctx context.Context, changes ...Change) error
	io.Closer
}

// A Change is PutDevice, PutTwin, DeleteDevice, PutActivity, PutEntry or DropEntry.
type Change interface{ change() }

type (
	// PutDevice replaces the identity whose ETag is If; "": there must be none.
	// The fields of Activity are kept as they are.
	PutDevice struct {
		Device *Device
		If     string
	}
	// PutTwin replaces the twin whose Version is If; 0: there must be none.
	PutTwin struct {
		ID   ID
		Twin *Twin
		If   int64
	}
	// DeleteDevice removes the identity whose ETag is If, with its twin,
	// activity, queue and, of a device, its modules with theirs.
	DeleteDevice struct {
		ID ID
		If string
	}
	// PutActivity replaces the activity of an identity, without condition; it
	// does nothing where there is no such identity.
	PutActivity struct {
		ID       ID
		Activity Activity
	}
	// PutEntry adds an entry to a queue, or replaces the one with its sequence.
	PutEntry struct{ Entry Entry }
	// DropEntry removes an entry if it is there.
	DropEntry struct {
		Queue    string
		Sequence int64
	}
)

func (PutDevice) change()    {}
func (PutTwin) change()      {}
func (DeleteDevice) change() {}
func (PutActivity) change()  {}
func (PutEntry) change()     {}
func (DropEntry) change()    {}

// An Activity is when an identity was last heard of, and when it last
// connected or disconnected.
type Activity struct{ Last, ConnectionStateUpdated time.Time }

// Apply sets the fields of d that a tells.
func (a Activity) Apply(d *Device) {
	d.LastActivityTime, d.ConnectionStateUpdatedTime = a.Last, a.ConnectionStateUpdated
}

// An Entry is one element of a queue: the cloud-to-device messages of the
// device that Queue names, or FeedbackQueue. Data is opaque to the registry.
type Entry struct {
	Queue    string
	Sequence int64
	Data     []byte
}

// Names of queues that no device can have.
const (
	AllQueues     = ""
	FeedbackQueue = "#feedback"
)
