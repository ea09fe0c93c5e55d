package saql

// A Schema names the values of rows.
type Schema struct{ Columns []SchemaColumn }

// A SchemaColumn is one value of a row. A spread one is a record (or NULL)
// whose fields are columns of their own at this place, as SELECT * gives them;
// a field that an earlier column is called like is not there.
type SchemaColumn struct {
	Name   string // of a spread one: "", or the input that it came from
	Spread bool
}

// A Key is where a row came from in the log: it orders rows of the same time.
type Key struct {
	Partition int
	Seq       int64
	Index     int // of the element, where the body is an array
}

// A Row is one event on its way through a query. Values are in the order of a
// Schema that its giver and taker agreed on when the query was compiled. It is
// valid during the call that hands it over.
type Row struct {
	Time   Ticks // System.Timestamp()
	Key    Key
	Values []Value
}
