//go:build !race

package hub_test

// raceDetector tells that pools forget at random.
const raceDetector = false
