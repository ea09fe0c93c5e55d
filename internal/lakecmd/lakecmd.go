// Package lakecmd is what weir lake prints: each function is one of its
// commands, with a table that is open. It promises text for people, and errors
// that decide the exit status; it leaves out flags and where the table is.
package lakecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/weir-iot/weir/lake"
)

// ErrProblems says that Verify found something wrong.
var ErrProblems = errors.New("the lake has problems")

// List prints the days that the table holds, and what it is in all.
func List(ctx context.Context, t *lake.Table, out io.Writer) error {
	s, err := t.Snapshot(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "DAY\tFILES\tROWS\tBYTES\t")
	var sum lake.DayUsage
	for _, d := range s.Usage() {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t\n", d.Day.Format(time.DateOnly), d.Files, d.Rows, d.Bytes)
		sum.Files, sum.Rows, sum.Bytes = sum.Files+d.Files, sum.Rows+d.Rows, sum.Bytes+d.Bytes
	}
	fmt.Fprintf(w, "all\t%d\t%d\t%d\t\n", sum.Files, sum.Rows, sum.Bytes)
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "version %d, %d columns\n", s.Version, len(s.Columns()))
	return err
}

// Verify prints what it finds; with problems it returns ErrProblems.
func Verify(ctx context.Context, t *lake.Table, out, progress io.Writer) error {
	bar := newBar(progress, "verify", "files")
	r, err := t.Verify(ctx, func(files, of int) { bar.show(int64(files), int64(of)) })
	bar.end()
	if err != nil {
		return err
	}
	for _, p := range r.Problems {
		fmt.Fprintln(out, p)
	}
	if more := r.Count - len(r.Problems); more > 0 {
		fmt.Fprintf(out, "… and %d more\n", more)
	}
	for _, p := range r.Partitions {
		fmt.Fprintf(out, "partition %d: records %d to %d", p.Partition, p.First, p.Last)
		if missing := p.Last - p.First + 1 - p.Records; missing > 0 {
			fmt.Fprintf(out, ", %d are not here", missing)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "version %d: %d files, %d rows, %d problems\n", r.Version, r.Files, r.Rows, r.Count)
	if r.Count > 0 {
		return ErrProblems
	}
	return nil
}

// Compact rewrites past days and deletes what no reader needs any more.
func Compact(ctx context.Context, t *lake.Table, out, progress io.Writer) error {
	bar := newBar(progress, "compact", "files")
	stats, err := t.Compact(ctx, lake.CompactOptions{Progress: func(s lake.CompactStats) { bar.show(int64(s.FilesBefore), 0) }})
	bar.end()
	fmt.Fprintf(out, "compacted %d days: %d files of %d bytes became %d of %d, %d rows\n",
		stats.Days, stats.FilesBefore, stats.BytesBefore, stats.FilesAfter, stats.BytesAfter, stats.Rows)
	if err != nil {
		return err
	}
	v, err := t.Vacuum(ctx)
	fmt.Fprintf(out, "deleted %d files that left the table, %d orphans, %d old aggregates, %d entries of the log\n", v.Files, v.Orphans, v.Series, v.Log)
	return err
}

// Export writes the rows of a query to a new Parquet file. With an error there
// is none.
func Export(ctx context.Context, t *lake.Table, q lake.Query, path string, out, progress io.Writer) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	bar := newBar(progress, "export", "rows")
	rows, err := t.Export(ctx, q, f, func(rows int64) { bar.show(rows, 0) })
	bar.end()
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	_, err = fmt.Fprintf(out, "%d rows in %s\n", rows, path)
	return err
}

// A bar shows on one line how far a command has come, a few times a second at
// most; with no writer it shows nothing.
type bar struct {
	out         io.Writer
	name, units string
	last        time.Time
	shown       bool
}

func newBar(out io.Writer, name, units string) *bar { return &bar{out: out, name: name, units: units} }

func (b *bar) show(n, of int64) {
	if b.out == nil || time.Since(b.last) < 200*time.Millisecond {
		return
	}
	b.last, b.shown = time.Now(), true
	const width = 30
	if of <= 0 {
		fmt.Fprintf(b.out, "\r%s: %d %s ", b.name, n, b.units)
		return
	}
	done := int(width * n / of)
	fmt.Fprintf(b.out, "\r%s [%-*.*s] %d of %d %s ", b.name, width, done, "##############################", n, of, b.units)
}

// end leaves the line to what comes next.
func (b *bar) end() {
	if b.shown {
		fmt.Fprintln(b.out)
	}
}
