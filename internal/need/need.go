// Package need is how a test says that it cannot run here: it skips and names
// what is missing, or fails where WEIR_TEST_REQUIRE=all says that everything
// must run, as CI does.
package need

import (
	"os"
	"testing"
)

// That skips t unless ok; what names what is missing and how to get it.
func That(t testing.TB, ok bool, what string) {
	t.Helper()
	switch {
	case ok:
	case os.Getenv("WEIR_TEST_REQUIRE") == "all":
		t.Fatalf("needs %s, and WEIR_TEST_REQUIRE=all forbids to skip", what)
	default:
		t.Skipf("needs %s", what)
	}
}
