package stream

import (
	"strings"
	"testing"
)

// Prepare tells all mistakes at once, each at its place.
func TestPrepare(t *testing.T) {
	env := Environment{Inputs: map[string]Input{"hub": {}}, Outputs: []string{"out"}}
	if _, err := Prepare("SELECT a INTO out FROM hub WHERE a > 1", env); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"SELEC a FROM hub": "line 1, column 1: ",
		"SELECT a\nINTO outt FROM hub\nSELECT LENN(a)\nINTO out FROM hubb": "line 2, column 6: unknown output outt: did you mean out?\n" +
			"line 3, column 8: ",
	} {
		_, err := Prepare(text, env)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
