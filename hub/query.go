package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/weir-iot/weir/internal/twinquery"
)

// How many rows a page of a query has.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// A QueryPage is one page of results. Next is "" on the last page.
type QueryPage struct {
	Kind  string // Twin where the query selects whole twins, else Raw
	Items []json.RawMessage
	Next  string
}

// Query runs a query of the IoT Hub query language over twins, in the order of
// their ids, and returns a page of up to max rows (0: DefaultPage, at most
// MaxPage). continuation is the Next of an earlier page of the same query: it
// is bound to the query, holds no state of the hub and outlives restarts. A page
// needs the memory of its rows; one of a query with GROUP BY needs that of its
// groups and reads all twins. ErrArgument with the place of a mistake.
func (h *Hub) Query(ctx context.Context, query string, max int, continuation string) (*QueryPage, error) {
	q, err := twinquery.Parse(query)
	if err != nil {
		return nil, ErrArgument.With("query: %s", strings.TrimPrefix(err.Error(), "twinquery: "))
	}
	from, err := parseCursor(continuation, q)
	if err != nil {
		return nil, err
	}
	if max <= 0 {
		max = DefaultPage
	}
	max = min(max, MaxPage)
	if q.Aggregates() {
		return h.queryGroups(ctx, q, max, from)
	}
	return h.queryRows(ctx, q, max, from)
}

// queryRows answers a query whose rows are made of one twin each.
func (h *Hub) queryRows(ctx context.Context, q *twinquery.Query, max int, from cursor) (*QueryPage, error) {
	page := &QueryPage{Kind: "Raw", Items: []json.RawMessage{}}
	if q.Whole() {
		page.Kind = "Twin"
	}
	if q.Top > 0 {
		max = min(max, q.Top-from.Rows)
	}
	scanned := from
	err := h.eachTwin(ctx, q.From, ID{from.Device, from.Module}, func(id ID, twin json.RawMessage, doc map[string]any) bool {
		if len(page.Items) == max {
			page.Next = scanned.encode(q)
			return false
		}
		scanned.Device, scanned.Module = id.Device, id.Module
		if q.Match(doc) {
			if !q.Whole() {
				twin = q.Row(doc)
			}
			page.Items = append(page.Items, twin)
			scanned.Rows++
		}
		return q.Top == 0 || scanned.Rows < q.Top
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// queryGroups answers a query whose rows are made of many twins. Each page
// counts anew, since the hub keeps nothing between pages.
func (h *Hub) queryGroups(ctx context.Context, q *twinquery.Query, max int, from cursor) (*QueryPage, error) {
	groups := q.NewGroups()
	var full error
	err := h.eachTwin(ctx, q.From, ID{}, func(_ ID, _ json.RawMessage, doc map[string]any) bool {
		if q.Match(doc) {
			full = groups.Add(doc)
		}
		return full == nil
	})
	if err != nil {
		return nil, err
	}
	if full != nil {
		return nil, ErrArgument.With("query: %s", strings.TrimPrefix(full.Error(), "twinquery: "))
	}
	page := &QueryPage{Kind: "Raw", Items: []json.RawMessage{}}
	rows := groups.Rows()
	for _, row := range rows[min(from.Rows, len(rows)):] {
		if len(page.Items) == max {
			from.Rows += max
			page.Next = from.encode(q)
			break
		}
		page.Items = append(page.Items, row)
	}
	return page, nil
}

// eachTwin calls f with the twins of a collection behind after, as services
// see them, until f returns false.
func (h *Hub) eachTwin(ctx context.Context, from twinquery.Collection, after ID, f func(ID, json.RawMessage, map[string]any) bool) error {
	for d, err := range h.registry.Devices(ctx, after) {
		if err != nil {
			return fmt.Errorf("hub: reading twins for a query: %w", err)
		}
		if isModule := d.ModuleID != ""; isModule != (from == twinquery.Modules) {
			continue
		}
		twin, err := h.TwinOf(ctx, d.ID())
		switch {
		case errors.Is(err, ErrDeviceNotFound), errors.Is(err, ErrModuleNotFound):
			continue // deleted since the scan began
		case err != nil:
			return err
		}
		text, err := json.Marshal(twin)
		if err != nil {
			return fmt.Errorf("hub: twin of %s: %w", d.ID(), err)
		}
		var doc map[string]any
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		if err := dec.Decode(&doc); err != nil {
			return fmt.Errorf("hub: twin of %s: %w", d.ID(), err)
		}
		if !f(d.ID(), text, doc) {
			break
		}
	}
	return nil
}

// A cursor is what a continuation says: the identity behind which a page goes
// on, and how many rows were returned before it.
type cursor struct {
	Query  string `json:"q"` // names the query, so that no other goes on from here
	Device string `json:"d,omitempty"`
	Module string `json:"m,omitempty"`
	Rows   int    `json:"n,omitempty"`
}

func (c cursor) encode(q *twinquery.Query) string {
	c.Query = fingerprint(q)
	b, _ := json.Marshal(c) // strings and a number
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(s string, q *twinquery.Query) (cursor, error) {
	var c cursor
	if s == "" {
		return c, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || c.Rows < 0 || q.Top > 0 && c.Rows >= q.Top {
		return c, ErrArgument.With("the continuation is not one of this hub: pass x-ms-continuation on as it came")
	}
	if c.Query != fingerprint(q) {
		return c, ErrArgument.With("the continuation belongs to another query: start without one")
	}
	return c, nil
}

// fingerprint is the same for queries that mean the same.
func fingerprint(q *twinquery.Query) string {
	sum := sha256.Sum256([]byte(q.String()))
	return hex.EncodeToString(sum[:8])
}
