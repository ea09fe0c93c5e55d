// Package e2e holds the promise to users: unmodified Azure IoT SDKs, and the
// article's own code, against the weir binary on the ports that the SDKs have
// built in. It is tests only; `make e2e` installs the SDKs and runs it.
package e2e
