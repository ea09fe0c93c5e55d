package saql

// A Pos is a place in a script; the zero Pos is unknown.
type Pos struct {
	Line, Column int // from 1; Column counts characters
}

// A Name is an identifier as written: case is kept, quotes ([x] or "x") are not.
type Name struct {
	At     Pos
	Text   string
	Quoted bool
}

// A Script is a whole .asaql file: CREATE TABLE statements, the steps of WITH,
// and the queries that write to outputs.
type Script struct {
	Tables  []*CreateTable
	Steps   []*Step
	Queries []*Query // at least one
}

// CreateTable declares the types of an input's columns.
type CreateTable struct {
	At      Pos
	Name    Name
	Columns []TableColumn
}

// A TableColumn is one column of CREATE TABLE.
type TableColumn struct {
	Name Name
	Type Type
}

// A Step is a named result of WITH.
type Step struct {
	Name  Name
	Query *Query
}

// A Query is one SELECT, or several joined by UNION. INTO is that of the first
// SELECT that has one.
type Query struct {
	Selects []*Select // at least one
}

// A Select is one SELECT … FROM …
type Select struct {
	At      Pos
	Items   []Item
	Into    *Name // nil: the output is "output", or a step has none
	From    From
	Where   Expr   // nil: none
	GroupBy []Expr // columns, expressions, System.Timestamp(), and windows as *Call
	Having  Expr   // nil: none
}

// An Item is one entry of a SELECT list.
type Item struct {
	At    Pos
	Star  bool   // *, or Of.*
	Of    []Name // of a star: an input, an alias, or a column of type record; nil: all
	Expr  Expr   // nil for a star
	Alias *Name  // nil: named after the expression
}

// From is what a SELECT reads: a source, then joins and applies in order.
type From struct {
	Source Source
	Tail   []FromItem // *Join or *Apply
}

// A FromItem is a *Join or an *Apply.
type FromItem interface{ fromItem() }

// A Source is an input, a step or a query in parentheses.
type Source struct {
	At          Pos
	Name        Name   // of an input or a step; empty with Query
	Query       *Query // nil: Name
	Alias       *Name
	PartitionBy []Expr
	Into        int    // shard count of PARTITION BY; 0: none
	TimestampBy Expr   // nil: arrival time
	Over        []Expr // keys of substreams
}

// A Join is [INNER | LEFT OUTER] JOIN source ON condition.
type Join struct {
	At     Pos
	Left   bool
	Source Source
	On     Expr
}

// An Apply is CROSS or OUTER APPLY function(…) AS alias.
type Apply struct {
	At    Pos
	Outer bool
	Call  *Call // GetArrayElements or GetRecordProperties
	Alias Name
}

func (*Join) fromItem()  {}
func (*Apply) fromItem() {}

// An Expr is an expression: *Literal, *Column, *Member, *Unary, *Binary,
// *Between, *In, *Like, *IsNull, *Case, *Cast or *Call.
type Expr interface {
	Pos() Pos
	expr()
}

// A Literal is a constant: NULL, bigint, float or nvarchar(max).
type Literal struct {
	At    Pos
	Value Value
}

// A Column is a name or a path of names: column, input.column, record.field.
// What the first name means is found when the script is compiled.
type Column struct {
	At   Pos
	Path []Name // at least one
}

// A Member is a field of the record that an expression which is no Column gives.
type Member struct {
	X    Expr
	Name Name
}

// An Op is an operator as it is printed.
type Op string

// The operators of Unary (OpNot, OpSub, OpAdd, OpBitNot) and Binary.
const (
	OpOr     Op = "OR"
	OpAnd    Op = "AND"
	OpNot    Op = "NOT"
	OpEq     Op = "="
	OpNe     Op = "<>" // also written !=
	OpLt     Op = "<"  // also written for !>= …
	OpLe     Op = "<=" // also !>
	OpGt     Op = ">"
	OpGe     Op = ">=" // also !<
	OpAdd    Op = "+"
	OpSub    Op = "-"
	OpMul    Op = "*"
	OpDiv    Op = "/"
	OpMod    Op = "%"
	OpBitAnd Op = "&"
	OpBitOr  Op = "|"
	OpBitXor Op = "^"
	OpBitNot Op = "~"
)

// Unary is Op X.
type Unary struct {
	At Pos
	Op Op
	X  Expr
}

// Binary is L Op R.
type Binary struct {
	At   Pos // of the operator
	Op   Op
	L, R Expr
}

// Between is X [NOT] BETWEEN Lo AND Hi.
type Between struct {
	At        Pos
	Not       bool
	X, Lo, Hi Expr
}

// In is X [NOT] IN (List).
type In struct {
	At   Pos
	Not  bool
	X    Expr
	List []Expr
}

// Like is X [NOT] LIKE Pattern.
type Like struct {
	At         Pos
	Not        bool
	X, Pattern Expr
}

// IsNull is X IS [NOT] NULL.
type IsNull struct {
	At  Pos
	Not bool
	X   Expr
}

// Case is CASE [Operand] WHEN … THEN … [ELSE …] END.
type Case struct {
	At      Pos
	Operand Expr // nil: each When is a condition
	Whens   []When
	Else    Expr // nil: NULL
}

// A When is one branch of a Case.
type When struct{ Cond, Then Expr }

// Cast is CAST or TRY_CAST (X AS Type).
type Cast struct {
	At   Pos
	Try  bool
	X    Expr
	Type Type
}

// A Call is a function call: scalar, aggregate, analytic, table-valued or a
// window of GROUP BY. Units of time (minute, hh, …) are arguments of type *Column.
type Call struct {
	At       Pos
	Name     string // as written, with its prefix: "System.Timestamp", "udf.f", "COUNT"
	Args     []Expr
	Star     bool  // COUNT(*), LAG(*, 2): in front of Args
	Distinct bool  // COUNT(DISTINCT x)
	Bare     bool  // System.Timestamp without parentheses
	Over     *Over // nil: none
}

// Over is OVER ([PARTITION BY …] [ORDER BY …] [LIMIT DURATION (unit, n)] [WHEN …]).
type Over struct {
	At          Pos
	PartitionBy []Expr
	OrderBy     []Order
	Limit       *Limit
	When        Expr
}

// An Order is one key of ORDER BY.
type Order struct {
	X    Expr
	Desc bool
}

// A Limit is LIMIT DURATION (Unit, N).
type Limit struct {
	At   Pos
	Unit Name
	N    Expr // a constant
}

func (e *Literal) Pos() Pos { return e.At }
func (e *Column) Pos() Pos  { return e.At }
func (e *Member) Pos() Pos  { return e.X.Pos() }
func (e *Unary) Pos() Pos   { return e.At }
func (e *Binary) Pos() Pos  { return e.L.Pos() }
func (e *Between) Pos() Pos { return e.X.Pos() }
func (e *In) Pos() Pos      { return e.X.Pos() }
func (e *Like) Pos() Pos    { return e.X.Pos() }
func (e *IsNull) Pos() Pos  { return e.X.Pos() }
func (e *Case) Pos() Pos    { return e.At }
func (e *Cast) Pos() Pos    { return e.At }
func (e *Call) Pos() Pos    { return e.At }

func (*Literal) expr() {}
func (*Column) expr()  {}
func (*Member) expr()  {}
func (*Unary) expr()   {}
func (*Binary) expr()  {}
func (*Between) expr() {}
func (*In) expr()      {}
func (*Like) expr()    {}
func (*IsNull) expr()  {}
func (*Case) expr()    {}
func (*Cast) expr()    {}
func (*Call) expr()    {}
