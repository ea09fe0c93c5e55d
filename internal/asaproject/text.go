package asaproject

import (
	"fmt"
	"io"
)

// maxShown bounds the differences that Text shows of one output.
const maxShown = 20

// Text writes r for people: one line where all is well, else how the outputs
// differ, field by field.
func (r *Result) Text(w io.Writer) {
	if r.Status == 0 {
		fmt.Fprintf(w, "ok    %s\n", r.Name)
		return
	}
	fmt.Fprintf(w, "FAIL  %s\n", r.Name)
	for _, o := range r.OutputNotEqual {
		r.show(w, o.OutputAlias, fmt.Sprintf("%d rows differ from %s", len(r.Differences[o.OutputAlias]), o.ExpectedOutput))
	}
	for _, o := range r.OutputMissing {
		r.show(w, o.OutputAlias, fmt.Sprintf("gave no rows, %s has %d", o.ExpectedOutput, len(r.Differences[o.OutputAlias])))
	}
	for _, o := range r.OutputUnexpected {
		fmt.Fprintf(w, "      %s: gave rows and no file says what is expected: see %s\n", o.OutputAlias, o.Output)
	}
}

func (r *Result) show(w io.Writer, alias, what string) {
	fmt.Fprintf(w, "      %s: %s\n", alias, what)
	for i, d := range r.Differences[alias] {
		if i == maxShown {
			fmt.Fprintf(w, "        … and %d more\n", len(r.Differences[alias])-i)
			return
		}
		d.text(w)
	}
}

func (d *Difference) text(w io.Writer) {
	switch {
	case d.Got == nil:
		fmt.Fprintf(w, "        - %s\n", d.Want)
	case d.Want == nil:
		fmt.Fprintf(w, "        + %s\n", d.Got)
	default:
		fmt.Fprintf(w, "        ~ %s\n", d.Want)
		for _, f := range d.Fields {
			fmt.Fprintf(w, "            %s: want %s, got %s\n", f.Name, orAbsent(f.Want), orAbsent(f.Got))
		}
	}
}

func orAbsent(value string) string {
	if value == "" {
		return "nothing"
	}
	return value
}
