package lake

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Type is a primitive type as Delta's schemas write it.
type Type string

// The types of columns that a table of Weir has.
const (
	String    Type = "string"
	Double    Type = "double"
	Boolean   Type = "boolean"
	Timestamp Type = "timestamp" // microseconds, UTC
	Long      Type = "long"
	Integer   Type = "integer"
	Binary    Type = "binary"
)

// A Column of a table. All are nullable.
type Column struct {
	Name string
	Type Type
}

// The columns that every table has.
const (
	DeviceID   = "deviceId"   // the payload's where it names one that its sender may speak for, else the sender
	Time       = "time"       // the payload's own time, else EnqueuedAt
	EnqueuedAt = "enqueuedAt" // when the log took the message
	Partition  = "partition"  // Partition, Seq and Index are the row's place in the log
	Seq        = "seq"
	Index      = "index"     // of the element, where the body is an array
	Sender     = "sender"    // who sent it, where that is not deviceId
	MessageID  = "messageId" // as the sender chose it
	Rest       = "rest"      // JSON object: what of the payload is in no column
	Body       = "body"      // the payload as it came, where asked for, or where it is not a JSON object
	Error      = "error"     // why the payload was not taken apart
	Year       = "year"      // Year, Month and Day partition the table: the UTC day of EnqueuedAt
	Month      = "month"
	Day        = "day"
)

var baseColumns = []Column{
	{DeviceID, String}, {Time, Timestamp}, {EnqueuedAt, Timestamp}, {Partition, Integer}, {Seq, Long}, {Index, Integer},
	{Sender, String}, {MessageID, String}, {Rest, String}, {Body, Binary}, {Error, String},
	{Year, Integer}, {Month, Integer}, {Day, Integer},
}

var partitionColumns = []string{Year, Month, Day}

// A schema is Delta's struct type. What this package does not know in it stays
// as it is when a column is appended.
type schema struct {
	Type   string        `json:"type"`
	Fields []schemaField `json:"fields"`
}

type schemaField struct {
	Name     string                     `json:"name"`
	Type     json.RawMessage            `json:"type"`
	Nullable bool                       `json:"nullable"`
	Metadata map[string]json.RawMessage `json:"metadata"`
}

func parseSchema(text string) (*schema, error) {
	s := new(schema)
	if err := json.Unmarshal([]byte(text), s); err != nil {
		return nil, fmt.Errorf("%w: schema: %w", ErrCorrupt, err)
	}
	return s, nil
}

// with returns s and more columns behind it.
func (s *schema) with(columns ...Column) *schema {
	c := &schema{"struct", slices.Clone(s.Fields)}
	for _, column := range columns {
		kind, _ := json.Marshal(column.Type)
		c.Fields = append(c.Fields, schemaField{column.Name, kind, true, map[string]json.RawMessage{}})
	}
	return c
}

func (s *schema) text() string {
	b, _ := json.Marshal(s) // of strings and JSON that was read
	return string(b)
}

// columns returns those of a primitive type, in the schema's order.
func (s *schema) columns() []Column {
	var all []Column
	for _, f := range s.Fields {
		var t Type
		if json.Unmarshal(f.Type, &t) == nil {
			all = append(all, Column{f.Name, t})
		}
	}
	return all
}

// writable refuses what a writer would have to check of every row.
func (s *schema) writable() error {
	for _, f := range s.Fields {
		if _, ok := f.Metadata["delta.invariants"]; ok || !f.Nullable && !isBase(f.Name) {
			return fmt.Errorf("%w: column %q has an invariant or is not nullable", ErrProtocol, f.Name)
		}
	}
	return nil
}

func isBase(name string) bool {
	return slices.ContainsFunc(baseColumns, func(c Column) bool { return strings.EqualFold(c.Name, name) })
}

// fold is the form of a name that a table has once: Delta's names are distinct
// without regard to case.
func fold(name string) string { return strings.ToLower(name) }
