package twinquery

// A Pos is a byte offset in the text of a query.
type Pos int

// An Expr is one of *Literal, *Path, *Array, *Unary, *Binary, *In and *Call.
type Expr interface {
	eval(env) any
	print(*printer, int)
}

// A Literal is a constant: string, float64, bool, nil for null, or Undefined.
type Literal struct{ Value any }

// A Path leads from the document to a value: names and indexes.
type Path struct {
	Pos   Pos
	Steps []Step
	// root counts the leading steps that name the collection or its alias.
	root int
}

// A Step of a path is a name, or an index where Name is "" and Index is set.
type Step struct {
	Name    string
	Index   int
	IsIndex bool
}

// An Array is [a, b, …].
type Array struct{ Items []Expr }

// A Unary is NOT x, -x or +x.
type Unary struct {
	Op string
	X  Expr
}

// A Binary is x op y.
type Binary struct {
	Op   string
	X, Y Expr
}

// An In is x IN [list], or NIN where Not is set. List is an Array, or a path
// to an array in the document.
type In struct {
	X    Expr
	Not  bool
	List Expr
}

// A Call is a function or an aggregate; Name is its name as the tables have it.
type Call struct {
	Pos  Pos
	Name string
	Args []Expr
}
