package anomaly

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-iot/weir/internal/need"
)

// Golden data are ML.NET's own baselines: tables of its outputs as float32
// with nine digits. Both detectors are fed without imputation.
const golden = "../../../shared/data/mlnet"

// A row of a baseline: the value, then for each detector alert, raw score,
// p-value and, of change points, martingale.
type baselineRow []string

func baseline(t *testing.T, name string) (rows []baselineRow) {
	t.Helper()
	f, err := os.Open(filepath.Join(golden, name))
	need.That(t, err == nil, "the golden data of ML.NET in "+golden)
	defer f.Close()
	columns := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Split(s.Text(), "\t")
		switch {
		case strings.HasPrefix(s.Text(), "#@"):
		case columns == 0:
			columns = len(fields)
		case strings.Contains(s.Text(), ":"): // the first row, zeros left out
			rows = append(rows, sparse(fields, columns))
		default:
			rows = append(rows, fields)
		}
	}
	return rows
}

func sparse(fields []string, columns int) baselineRow {
	row := make(baselineRow, columns)
	for i := range row {
		row[i] = "0"
	}
	for _, f := range fields {
		if at, value, ok := strings.Cut(f, ":"); ok {
			if i, err := strconv.Atoi(at); err == nil {
				row[i] = value
			}
		}
	}
	return row
}

func (r baselineRow) float32(t *testing.T, i int) float32 {
	t.Helper()
	f, err := strconv.ParseFloat(r[i], 32)
	if err != nil {
		t.Fatal(err)
	}
	return float32(f)
}

func TestSpikeAndDipIsThatOfMLNET(t *testing.T) {
	rows := baseline(t, "SavePipeIidSpike-Data.txt")
	if len(rows) != 1420 {
		t.Fatalf("%d rows", len(rows))
	}
	for mode, column := range map[Mode]int{Spikes: 1, Dips: 4} {
		d, err := NewSpikeAndDip(Options{Confidence: 99.5, History: 200, Mode: mode, Interval: 1})
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			got := d.observe(row.float32(t, 0))
			if want := row[column] == "1"; got.IsAnomaly != want {
				t.Errorf("mode %d, row %d: anomaly %t, want %t", mode, i, got.IsAnomaly, want)
			}
			if want := row.float32(t, column+2); float32(got.Score) != want {
				t.Errorf("mode %d, row %d: score %v, want %v", mode, i, got.Score, want)
			}
		}
	}
}

func TestChangePointIsThatOfMLNET(t *testing.T) {
	rows := baseline(t, "SavePipeIidChangePoint-Data.txt")
	if len(rows) != 1439 {
		t.Fatalf("%d rows", len(rows))
	}
	d, err := NewChangePoint(Options{Confidence: 83, History: 100, Interval: 1})
	if err != nil {
		t.Fatal(err)
	}
	alerts := 0
	for i, row := range rows {
		got := d.observe(row.float32(t, 0))
		if want := row[1] == "1"; got.IsAnomaly != want {
			t.Errorf("row %d: anomaly %t, want %t", i, got.IsAnomaly, want)
		}
		if want := row.float32(t, 4); float32(got.Score) != want {
			t.Errorf("row %d: score %v, want %v", i, got.Score, want)
		}
		if got.IsAnomaly {
			alerts++
		}
	}
	if alerts == 0 {
		t.Error("the baseline holds no anomaly")
	}
}
