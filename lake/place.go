package lake

import "strings"

// names are the columns of a table by their folded names.
type names map[string]Column

func (s *Snapshot) names() names {
	n := names{}
	for _, f := range s.schema.Fields {
		n[fold(f.Name)] = Column{f.Name, ""} // a type that is not primitive takes the name, too
	}
	for _, c := range s.Columns() {
		n[fold(c.Name)] = c
	}
	return n
}

// place returns the column that holds the values of one type of a field. It is
// the field's own where that has the type; else, and where the name is one of
// Weir's own, the side column name_type; and not ok where that has another type,
// too: then the values are in the rest. isNew says that the table has no such
// column yet.
func (n names) place(path string, kind Type) (c Column, isNew, ok bool) {
	c, taken := n[fold(path)]
	if !isBase(path) && (!taken || c.Type == kind) {
		if !taken {
			c = Column{path, kind}
		}
		return c, !taken, true
	}
	side := sideName(path, kind)
	c, taken = n[fold(side)]
	if !taken {
		return Column{side, kind}, true, !isBase(side)
	}
	return c, false, c.Type == kind
}

// sideName is the column of the values that have another type than their
// field's first ones.
func sideName(path string, kind Type) string { return strings.Join([]string{path, string(kind)}, "_") }
