//go:build race

package mqtt_test

// raceDetector tells that memory is not what it is.
const raceDetector = true
