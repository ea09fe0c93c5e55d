package hub

import (
	"strings"
	"unicode/utf8"
)

// An ID names a device, or a module of a device where Module is not "".
type ID struct{ Device, Module string }

// String is "device" or "device/module".
func (id ID) String() string {
	if id.Module == "" {
		return id.Device
	}
	return id.Device + "/" + id.Module
}

// Compare orders by device, then module, bytewise: a device stands before its modules.
func (id ID) Compare(other ID) int {
	if c := strings.Compare(id.Device, other.Device); c != 0 {
		return c
	}
	return strings.Compare(id.Module, other.Module)
}

// parent is the device that id is or belongs to.
func (id ID) parent() ID { return ID{Device: id.Device} }

// NotFound is ErrDeviceNotFound or ErrModuleNotFound, naming id.
func (id ID) NotFound() *Error {
	if id.Module == "" {
		return ErrDeviceNotFound.With("device %q is not registered", id.Device)
	}
	return ErrModuleNotFound.With("module %q is not registered on device %q", id.Module, id.Device)
}

// maxIDLength is in bytes; ids are ASCII.
const maxIDLength = 128

// check refuses ids that IoT Hub refuses, and three characters more: IoT Hub
// allows '#', '+' and '$' in a device id, but they mean something in MQTT
// topics and in connection paths, and whole families of access bypasses began
// with a wildcard in a name. '/' and NUL are refused by both.
func (id ID) check() error {
	if err := checkID("deviceId", id.Device); err != nil {
		return err
	}
	if id.Module == "" {
		return nil
	}
	return checkID("moduleId", id.Module)
}

func checkID(what, s string) error {
	if s == "" || len(s) > maxIDLength {
		return ErrArgument.With("%s must have 1 to %d characters, it has %d", what, maxIDLength, len(s))
	}
	for i := range len(s) {
		if !idByte(s[i]) {
			r, _ := utf8.DecodeRuneInString(s[i:])
			return ErrArgument.With("%s has the character %q: letters, digits and -:.%%_*?!(),=@;' are allowed", what, r)
		}
	}
	return nil
}

func idByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-:.%_*?!(),=@;'", c) >= 0
}
