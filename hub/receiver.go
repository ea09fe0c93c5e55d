package hub

// A Receiver is how the hub reaches a connected device; a door implements it.
// Calls come from the hub's goroutines, one at a time, in order; they must
// return soon and must not call the Session. A call may come while a method of
// the Session runs, so a door holds no lock around those that a call needs.
type Receiver interface {
	// CloudToDevice hands out a message that is locked for this session until
	// Complete, Reject or Abandon names its LockToken.
	CloudToDevice(m *CloudMessage)
	// Desired hands out a patch of desired properties with its $version inside.
	Desired(version int64, patch []byte)
	// Invoke hands out a direct method; the device answers with Session.Respond.
	Invoke(call *MethodCall)
	// Disconnect tells the door to close the connection: a newer connection,
	// an expired token, a disabled or deleted device, a changed key, shutdown.
	// The session is closed already, and no other call follows.
	Disconnect(reason error)
}

// A Feed is something that a connected device subscribes to.
type Feed uint8

const (
	FeedCloudToDevice Feed = 1 << iota
	FeedMethods
	FeedDesired
)
