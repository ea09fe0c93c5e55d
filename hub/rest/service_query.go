package rest

import (
	"encoding/json"
	"net/http"

	"github.com/weir-iot/weir/hub"
)

// query is POST /devices/query: {"query":"SELECT …"}, paged by the headers
// x-ms-max-item-count and x-ms-continuation.
func (c *call) query() error {
	var in struct {
		Query *string `json:"query"`
	}
	if err := c.decode(maxJSON, &in); err != nil {
		return err
	}
	if in.Query == nil {
		return hub.ErrArgument.With(`the body needs a member "query"`)
	}
	most, err := number("x-ms-max-item-count", c.Header.Get("x-ms-max-item-count"), hub.DefaultPage)
	if err != nil {
		return err
	}
	page, err := c.hub.Query(c.Context(), *in.Query, most, c.Header.Get("x-ms-continuation"))
	if err != nil {
		return err
	}
	h := c.w.Header()
	put(h, "x-ms-item-type", page.Kind)
	put(h, "x-ms-continuation", page.Next)
	c.write(http.StatusOK, jsonType, join(page.Items))
	return nil
}

// join is the JSON array of items that are JSON.
func join(items []json.RawMessage) []byte {
	size := 2
	for _, item := range items {
		size += len(item) + 1
	}
	b := append(make([]byte, 0, size), '[')
	for i, item := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, item...)
	}
	return append(b, ']')
}
