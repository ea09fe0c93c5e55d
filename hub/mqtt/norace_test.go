//go:build !race

package mqtt_test

// raceDetector: see race_test.go.
const raceDetector = false
