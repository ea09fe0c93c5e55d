package hub

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"time"

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
	for doc, err := range h.documents(ctx, q.From, ID{from.Device, from.Module}) {
		if err != nil {
			return nil, err
		}
		if len(page.Items) == max {
			page.Next = scanned.encode(q)
			break
		}
		scanned.Device, _ = doc["deviceId"].(string)
		scanned.Module, _ = doc["moduleId"].(string)
		if !q.Match(doc) {
			continue
		}
		row, err := rowOf(q, doc)
		if err != nil {
			return nil, h.failure("writing a twin", ID{scanned.Device, scanned.Module}, err)
		}
		page.Items = append(page.Items, row)
		if scanned.Rows++; scanned.Rows == q.Top {
			break
		}
	}
	return page, nil
}

// rowOf is the row of one twin.
func rowOf(q *twinquery.Query, doc map[string]any) (json.RawMessage, error) {
	if q.Whole() {
		return json.Marshal(doc)
	}
	return q.Row(doc), nil
}

// queryGroups answers a query whose rows are made of many twins. Each page
// counts anew, since the hub keeps nothing between pages.
func (h *Hub) queryGroups(ctx context.Context, q *twinquery.Query, max int, from cursor) (*QueryPage, error) {
	groups := q.NewGroups()
	for doc, err := range h.documents(ctx, q.From, ID{}) {
		if err != nil {
			return nil, err
		}
		if !q.Match(doc) {
			continue
		}
		if err := groups.Add(doc); err != nil {
			return nil, ErrArgument.With("query: %s", strings.TrimPrefix(err.Error(), "twinquery: "))
		}
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

// documents yields the twins of a collection behind after, as services see
// them, in order of id. A document is the receiver's.
func (h *Hub) documents(ctx context.Context, from twinquery.Collection, after ID) iter.Seq2[map[string]any, error] {
	return func(yield func(map[string]any, error) bool) {
		for d, err := range h.registry.Devices(ctx, after) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(nil, h.failure("listing devices", ID{}, err))
				return
			}
			if isModule := d.ModuleID != ""; isModule != (from == twinquery.Modules) {
				continue
			}
			twin, err := h.registry.Twin(ctx, d.ID())
			if errors.Is(err, d.ID().NotFound()) {
				continue // deleted since the scan began
			}
			if err != nil {
				yield(nil, h.failure("reading a twin", d.ID(), err))
				return
			}
			twin.Device = h.overlay(d)
			doc := twin.document()
			asJSON(doc)
			if !yield(doc, nil) {
				return
			}
		}
	}
}

// asJSON turns the times in a twin's document into the strings that JSON has,
// so that a query sees what services see without a detour over text.
func asJSON(doc map[string]any) {
	for key, value := range doc {
		switch v := value.(type) {
		case time.Time:
			doc[key] = v.Format(time.RFC3339Nano)
		case int64:
			doc[key] = float64(v)
		case map[string]any:
			asJSON(v)
		}
	}
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
