package hub

import (
	"context"
	"encoding/json"
)

// Query runs a query of the IoT Hub query language over twins. next is "" on
// the last page. Kind is "Twin" where the query selects whole twins, else "Raw".
func (h *Hub) Query(ctx context.Context, query string, max int, continuation string) (*QueryPage, error) {
	return nil, ErrArgument.With("queries are not available")
}

// A QueryPage is one page of results.
type QueryPage struct {
	Kind  string
	Items []json.RawMessage
	Next  string
}
