package saql

import (
	"testing"
	"time"
)

// TestCalendar compares with package time, day by day over leap years,
// centuries and both ends.
func TestCalendar(t *testing.T) {
	for _, from := range []int{1, 4, 99, 399, 1582, 1899, 1969, 1999, 2096, 9998} {
		day := time.Date(from, 1, 1, 23, 59, 59, 999999900, time.UTC)
		for range 2 * 365 {
			ticks := TicksOf(day)
			if got := ticks.String(); got != day.Format("2006-01-02T15:04:05.0000000Z") {
				t.Fatalf("%s is printed as %s", day, got)
			}
			if !ticks.Time().Equal(day) {
				t.Fatalf("%s becomes %s", day, ticks.Time())
			}
			want := []int64{int64(day.Year()), int64(day.Month()), int64(day.Day()), int64(day.YearDay()), int64(day.Weekday()) + 1}
			for i, u := range []Unit{UnitYear, UnitMonth, UnitDay, UnitDayOfYear, UnitWeekday} {
				if got := ticks.part(u); got != want[i] {
					t.Fatalf("%s of %s is %d, want %d", u, day, got, want[i])
				}
			}
			day = day.AddDate(0, 0, 1)
		}
	}
}

func TestTicksOfEnds(t *testing.T) {
	if got := TicksOf(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)); got != MinTicks {
		t.Errorf("year 0 is %s", got)
	}
	if got := TicksOf(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)); got != MaxTicks {
		t.Errorf("year 10000 is %s", got)
	}
	if got := TicksOf(time.Unix(0, 199)); got != unixEpoch+1 {
		t.Errorf("199 ns are %d ticks", got-unixEpoch)
	}
	if got := (unixEpoch - 1).Time(); got.UnixNano() != -100 {
		t.Errorf("the tick before 1970 is %s", got)
	}
}

func TestUnits(t *testing.T) {
	for name, want := range map[string]Unit{"YY": UnitYear, "m": UnitMonth, "mi": UnitMinute, "n": UnitMinute, "y": UnitDayOfYear, "w": UnitWeekday, "d": UnitDay, "Mcs": UnitMicrosecond} {
		if got, ok := ParseUnit(name); !ok || got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
	for _, name := range []string{"", "nanosecond", "ns", "h"} {
		if u, ok := ParseUnit(name); ok {
			t.Errorf("%q is %s", name, u)
		}
	}
	if UnitMonth.Ticks() != 0 || UnitDay.Ticks() != 24*UnitHour.Ticks() || UnitWeek.Ticks() != 0 {
		t.Error("wrong lengths")
	}
}

func FuzzParseDatetime(f *testing.F) {
	for _, s := range []string{"2014-09-10T12:00:00.123456789+02:00", "9/10/2014 3:04 PM", "Wed, 10 Sep 2014 12:00:00 GMT", "10 Sep 2014 1:00", "2014/9/1", "0001-01-01", "9999-12-31T23:59:59.9999999Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ticks, err := ParseDatetime(s)
		if err != nil {
			return
		}
		again, err := ParseDatetime(ticks.String())
		if err != nil || again != ticks {
			t.Fatalf("%q is %s, which is read as %s, %v", s, ticks, again, err)
		}
		if want, err := time.Parse(time.RFC3339Nano, s); err == nil && want.Nanosecond()%100 == 0 && ticks != TicksOf(want) {
			t.Fatalf("%q is %s, want %s", s, ticks, want.UTC())
		}
	})
}
