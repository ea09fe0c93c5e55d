package pebble_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/weir-iot/weir/store/pebble"
	"github.com/weir-iot/weir/store/storetest"
)

// What these name in the environment is the folder of a test's child.
const (
	killChild    = "WEIR_STORE_KILL_DIR"
	sweepChild   = "WEIR_STORE_SWEEP_DIR"
	damagedChild = "WEIR_STORE_DAMAGED_DIR"
)

// TestMain makes the test binary a process that ends badly where a test asks
// for one.
func TestMain(m *testing.M) {
	for name, run := range map[string]func(dir string) error{killChild: upsertForEver, sweepChild: sweepAndDie, damagedChild: readDamaged} {
		if dir := os.Getenv(name); dir != "" {
			fmt.Fprintln(os.Stderr, "the child ended by itself:", run(dir))
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}

// sweepOptions have the clock of the sweep's kill: two days are over, a third
// lasts, and sweeps come when a test wants one, but for the first of each Open.
func sweepOptions() pebble.Options {
	clock := storetest.NewClock()
	clock.Advance(3 * 24 * time.Hour)
	return pebble.Options{Now: clock.Now, MemTableBytes: 256 << 10, IDTable: 500, SweepEvery: time.Hour}
}

// sweepAndDie is the process that dies in its sweep.
func sweepAndDie(dir string) error {
	s, err := pebble.Open(dir, sweepOptions())
	if err != nil {
		return err
	}
	return s.Sweep(context.Background())
}
