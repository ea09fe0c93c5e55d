package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/weir-iot/weir/store"
)

// telemetryInput is the query of GET /devices/{id}/telemetry.
type telemetryInput struct {
	ID     string `path:"id" minLength:"1" maxLength:"1023" doc:"Device id"`
	Hours  int    `query:"hours" default:"24" minimum:"1" maximum:"87840" doc:"How far to look back from now, or from to; from overrides it"`
	From   moment `query:"from" doc:"First moment: RFC 3339, or seconds since 1970"`
	To     moment `query:"to" doc:"End, exclusive: RFC 3339, or seconds since 1970"`
	Limit  int    `query:"limit" minimum:"1" maximum:"10000" doc:"Rows of one page. With more rows the answer has a Link header with rel=next"`
	Cursor cursor `query:"cursor" doc:"Continues a page: taken from the Link header"`
}

// Resolve checks what depends on two parameters.
func (in *telemetryInput) Resolve(huma.Context) []error {
	if !in.From.IsZero() && !in.To.IsZero() && !in.From.Before(in.To.Time) {
		return []error{&huma.ErrorDetail{Location: "query.to", Message: "must be later than from"}}
	}
	return nil
}

// paged tells whether the client asked for pages.
func (in *telemetryInput) paged() bool { return in.Limit > 0 || in.Cursor.ID != "" }

// telemetryAnswer documents the answer, which is written without it.
type telemetryAnswer struct {
	DeviceID  string         `json:"deviceId"`
	Telemetry []telemetryRow `json:"telemetry" nullable:"false" doc:"Newest first"`
}

type telemetryRow struct {
	Data      json.RawMessage `json:"data" doc:"The message's body, as the device sent it"`
	Timestamp int64           `json:"timestamp" doc:"When the message arrived: seconds since 1970 (Cosmos DB's _ts)"`
}

func (s *server) registerTelemetry() {
	schema := s.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[telemetryAnswer](), true, "")
	huma.Register(s.huma, huma.Operation{
		OperationID: "get-device-telemetry", Method: http.MethodGet, Path: "/devices/{id}/telemetry",
		Summary: "Recent telemetry of a device, newest first", Tags: []string{"devices"},
		Description: "404 where the device has no telemetry in that time.",
		Errors:      []int{http.StatusNotFound},
		Responses: map[string]*huma.Response{"200": {
			Description: "The rows",
			Headers:     map[string]*huma.Param{"Link": {Description: "The next page, rel=next; only where limit or cursor is given", Schema: &huma.Schema{Type: "string"}}},
			Content:     map[string]*huma.MediaType{"application/json": {Schema: schema}},
		}},
	}, func(_ context.Context, in *telemetryInput) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) { s.telemetry(ctx, in) }}, nil
	})
}

// telemetry answers a query. A page is gathered, since its Link header comes
// first; everything else is streamed row by row.
func (s *server) telemetry(ctx huma.Context, in *telemetryInput) {
	r := s.rangeOf(in)
	_, w := humago.Unwrap(ctx)
	out := newRowWriter(w, in.ID)
	defer out.release()
	if in.paged() {
		out.hold = true
		r.Limit++ // one more tells whether there is a next page
	}
	rows := 0
	var last store.Cursor
	for d, err := range s.Store.Read(ctx.Context(), r) {
		if err != nil {
			s.abort(ctx, out, err)
			return
		}
		if out.hold && (rows == in.Limit || rows > 0 && out.buf.Len()+len(d.Data) > MaxPageBytes) {
			w.Header().Set("Link", nextLink(in, r, last))
			break
		}
		if !out.row(d) {
			return
		}
		rows++
		if out.hold {
			last = store.Cursor{Time: d.Time, ID: strings.Clone(d.ID)} // d is borrowed
		}
	}
	if rows == 0 && in.Cursor.ID == "" {
		_ = huma.WriteErr(s.huma, ctx, http.StatusNotFound, "Device not found")
		return
	}
	out.end()
}

// abort ends a failed answer: with a status where none was sent, else by
// cutting the connection, which alone tells the client that rows are missing.
func (s *server) abort(ctx huma.Context, out *rowWriter, err error) {
	answer := s.fail(ctx.Context(), "reading telemetry", err)
	if out.sent {
		panic(http.ErrAbortHandler)
	}
	var se huma.StatusError
	if errors.As(answer, &se) {
		_ = huma.WriteErr(s.huma, ctx, se.GetStatus(), se.Error())
	}
}

// rangeOf resolves a query against the clock. The article compares whole
// seconds, _ts > now − hours·3600, so the first second is the one after.
func (s *server) rangeOf(in *telemetryInput) store.Range {
	r := store.Range{DeviceID: in.ID, From: in.From.Time, To: in.To.Time, Limit: in.Limit, Before: store.Cursor(in.Cursor)}
	switch {
	case !r.From.IsZero():
	case !r.To.IsZero():
		r.From = r.To.Add(-time.Duration(in.Hours) * time.Hour)
	default:
		r.From = time.Unix(s.Now().Unix()-int64(in.Hours)*3600+1, 0)
	}
	if in.paged() && r.Limit == 0 {
		r.Limit, in.Limit = 1000, 1000
	}
	return r
}

// nextLink names the same range by fixed moments, so that pages fit together
// whatever the clock says.
func nextLink(in *telemetryInput, r store.Range, last store.Cursor) string {
	q := url.Values{
		"from":   {r.From.UTC().Format(time.RFC3339Nano)},
		"limit":  {strconv.Itoa(in.Limit)},
		"cursor": {cursor(last).String()},
	}
	if !r.To.IsZero() {
		q.Set("to", r.To.UTC().Format(time.RFC3339Nano))
	}
	return "</devices/" + url.PathEscape(in.ID) + "/telemetry?" + q.Encode() + `>; rel="next"`
}

// rowWriter writes the answer's JSON. Documents are copied as they are stored.
type rowWriter struct {
	w    http.ResponseWriter
	ctl  *http.ResponseController
	buf  *bytes.Buffer
	hold bool // keep everything until end
	sent bool
	rows int
}

// chunk is how much is gathered before it is sent: a few system calls per answer.
const chunk = 64 << 10

// buffers are reused between answers, unless a large document made one grow.
var buffers = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, chunk+4096)) }}

func newRowWriter(w http.ResponseWriter, deviceID string) *rowWriter {
	o := &rowWriter{w: w, ctl: http.NewResponseController(w), buf: buffers.Get().(*bytes.Buffer)}
	o.buf.Reset()
	name, _ := json.Marshal(deviceID) // a string cannot fail
	o.buf.WriteString(`{"deviceId":`)
	o.buf.Write(name)
	o.buf.WriteString(`,"telemetry":[`)
	return o
}

// row adds a document; false: the client is gone.
func (o *rowWriter) row(d store.Document) bool {
	if o.rows > 0 {
		o.buf.WriteByte(',')
	}
	o.rows++
	o.buf.WriteString(`{"data":`)
	o.buf.Write(d.Data)
	o.buf.WriteString(`,"timestamp":`)
	o.buf.Write(strconv.AppendInt(o.buf.AvailableBuffer(), d.Time.Unix(), 10))
	o.buf.WriteByte('}')
	return o.hold || o.buf.Len() < chunk || o.flush()
}

func (o *rowWriter) end() {
	o.buf.WriteString("]}\n")
	o.flush()
}

func (o *rowWriter) flush() bool {
	if !o.sent {
		o.sent = true
		o.w.Header().Set("Content-Type", "application/json")
	}
	// Not every writer has deadlines (tests); the server's own time-out holds then.
	_ = o.ctl.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := o.w.Write(o.buf.Bytes())
	o.buf.Reset()
	return err == nil
}

func (o *rowWriter) release() {
	if o.buf.Cap() <= 4*chunk {
		buffers.Put(o.buf)
	}
}

// A moment is a query parameter: RFC 3339, or seconds since 1970.
type moment struct{ time.Time }

// Schema implements huma.SchemaProvider.
func (moment) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Examples: []any{"2026-01-31T12:00:00Z"}}
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(b []byte) error {
	text := string(b)
	if secs, err := strconv.ParseFloat(text, 64); err == nil {
		if !(secs >= 0 && secs < 1<<33) {
			return errors.New("seconds since 1970 are between 0 and 8589934592; milliseconds are not taken")
		}
		whole, frac := int64(secs), secs-float64(int64(secs))
		m.Time = time.Unix(whole, int64(frac*1e9))
		return nil
	}
	t, err := time.Parse(time.RFC3339, strings.Replace(text, " ", "+", 1)) // an unescaped + arrives as a space
	if err != nil || t.Year() < 1970 || t.Year() > 2242 {
		return errors.New("want RFC 3339 such as 2026-01-31T12:00:00Z, or seconds since 1970")
	}
	m.Time = t
	return nil
}

// A cursor is a store.Cursor as text: opaque to clients.
type cursor store.Cursor

func (c cursor) String() string {
	return base64.RawURLEncoding.EncodeToString(append(strconv.AppendInt(nil, c.Time.UnixNano(), 36), "."+c.ID...))
}

// Schema implements huma.SchemaProvider.
func (cursor) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString, Pattern: "^[A-Za-z0-9_-]*$"}
	s.PrecomputeMessages()
	return s
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *cursor) UnmarshalText(b []byte) error {
	raw, err := base64.RawURLEncoding.DecodeString(string(b))
	nanos, id, ok := strings.Cut(string(raw), ".")
	n, perr := strconv.ParseInt(nanos, 36, 64)
	if err != nil || !ok || perr != nil || id == "" {
		return errors.New("not a cursor of this API: take it from the Link header")
	}
	c.Time, c.ID = time.Unix(0, n), id
	return nil
}
