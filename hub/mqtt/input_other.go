//go:build !unix

package mqtt

const canPoll = false

func (in *input) readReady(uintptr) bool { return true } // never called: canPoll
