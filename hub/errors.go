package hub

import "fmt"

// An Error is what IoT Hub answers: an HTTP status, and the code with its name
// as service REST API 2021-04-12 documents them.
type Error struct {
	Status  int
	Code    int
	Name    string
	Message string
}

func (e *Error) Error() string { return e.Name + ": " + e.Message }

// Is makes errors.Is match by Name, so that a sentinel matches its own
// variants with another message.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Name == e.Name
}

// With returns a copy of e with a message that names what is wrong.
func (e *Error) With(format string, args ...any) *Error {
	c := *e
	c.Message = fmt.Sprintf(format, args...)
	return &c
}

// What the hub answers.
var (
	ErrArgument            = &Error{400, 400004, "ArgumentInvalid", "the request is malformed"}
	ErrUnauthorized        = &Error{401, 401002, "IotHubUnauthorizedAccess", "Unauthorized"}
	ErrQueueFull           = &Error{403, 403004, "DeviceMaximumQueueDepthExceeded", "the device has 50 cloud-to-device messages waiting"}
	ErrDeviceNotFound      = &Error{404, 404001, "DeviceNotFound", "device not registered"}
	ErrModuleNotFound      = &Error{404, 404010, "ModuleNotFound", "module not registered"}
	ErrDeviceNotOnline     = &Error{404, 404103, "DeviceNotOnline", "the operation failed because the requested device isn't online"}
	ErrDeviceAlreadyExists = &Error{409, 409001, "DeviceAlreadyExists", "a device with that id is registered already"}
	ErrModuleAlreadyExists = &Error{409, 409301, "ModuleAlreadyExistsOnDevice", "a module with that id is registered already"}
	ErrPrecondition        = &Error{412, 412001, "PreconditionFailed", "If-Match does not match the current etag"}
	ErrLockLost            = &Error{412, 412002, "DeviceMessageLockLost", "the lock on that message is not held any more"}
	ErrTooLarge            = &Error{413, 413001, "MessageTooLarge", "the message is too large"}
	ErrTooManyModules      = &Error{413, 413003, "TooManyModulesOnDevice", "the device has 20 modules"}
	ErrThrottled           = &Error{429, 429001, "ThrottlingException", "too many requests"}
	ErrServer              = &Error{500, 500001, "ServerError", "internal error"}
	ErrUnavailable         = &Error{503, 503001, "ServiceUnavailable", "the hub is stopping or its log takes no more messages"}
	ErrGatewayTimeout      = &Error{504, 504101, "GatewayTimeout", "the device did not answer in time"}
)

// Why a session ended.
var (
	ErrReplaced = &Error{401, 400027, "ConnectionForcefullyClosedOnNewConnection", "a newer connection of the same device took over"}
	ErrExpired  = &Error{401, 401003, "IotHubUnauthorized", "the token has expired"}
	ErrRevoked  = &Error{401, 401002, "IotHubUnauthorizedAccess", "the device was disabled, deleted or its key changed"}
)
