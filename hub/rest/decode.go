package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/weir-iot/weir/hub"
)

// Bounds of a request's body in bytes.
const (
	maxJSON   = 512 << 10 // one identity, twin or query; the hub's own limits are below it
	maxMethod = 1 << 20   // a method's payload of 128 KB, escaped
	maxBulk   = 8 << 20   // 100 devices with their twins
	maxCloud  = 64 << 10  // a cloud-to-device message
)

const jsonType = "application/json; charset=utf-8"

// limitBody gives the sender the door's timeout for its body, read or not: the
// server itself drains what a handler leaves, without a limit of time. A
// server that knows no deadlines has a sender that cannot be slow.
func (c *call) limitBody() {
	if c.ContentLength != 0 {
		_ = http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(c.door.timeout))
	}
}

// read appends the body to buf, at most limit bytes. A sender that stops amid
// the body has made a mistake, not we; its connection cannot go on.
func (c *call) read(buf *bytes.Buffer, limit int64) error {
	if c.ContentLength > limit {
		return &http.MaxBytesError{Limit: limit}
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(c.w, c.Body, limit))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	if err != nil {
		c.w.Header().Set("Connection", "close")
		return hub.ErrArgument.With("the body ended early: %v", err)
	}
	if c.ContentLength != 0 {
		_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{})
	}
	return nil
}

// body reads at most limit bytes.
func (c *call) body(limit int64) ([]byte, error) {
	var buf bytes.Buffer
	err := c.read(&buf, limit)
	return buf.Bytes(), err
}

// decode reads a JSON body of at most limit bytes into v.
func (c *call) decode(limit int64, v any) error {
	b, err := c.body(limit)
	if err != nil {
		return err
	}
	return unmarshal(b, v)
}

// unmarshal is json.Unmarshal whose error is ErrArgument with the place.
func unmarshal(b []byte, v any) error {
	if len(bytes.TrimSpace(b)) == 0 {
		return hub.ErrArgument.With("the body is empty, JSON is needed")
	}
	err := json.Unmarshal(b, v)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return hub.ErrArgument.With("the body is not JSON: %s: %v", place(b, syntax.Offset), err)
	case errors.As(err, &kind):
		return hub.ErrArgument.With("%s: %s cannot be a %s", place(b, kind.Offset), field(kind.Field), kind.Value)
	}
	return hub.ErrArgument.With("the body: %v", err)
}

// field names what a JSON path leads to, without the type that hub.Device
// decodes itself through.
func field(path string) string {
	if path == "" {
		return "the value"
	}
	return strings.TrimPrefix(path, "plain.")
}

// place is the line and column of a byte offset, from 1.
func place(b []byte, offset int64) string {
	before := b[:min(int64(len(b)), max(offset-1, 0))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Sprintf("line %d, column %d", line, column)
}

// ifMatch is the value of If-Match without its quotes, as package hub wants
// it: Node and Python send even "*" in quotes. An empty value in quotes keeps
// them, so that it matches nothing.
func (c *call) ifMatch() string {
	v := strings.TrimSpace(c.Header.Get("If-Match"))
	v = strings.TrimPrefix(v, "W/")
	if len(v) > 2 && v[0] == '"' && v[len(v)-1] == '"' {
		return v[1 : len(v)-1]
	}
	return v
}

// json answers 200 with v.
func (c *call) json(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("rest: writing an answer: %w", err)
	}
	c.write(http.StatusOK, jsonType, b)
	return nil
}

// number is a query parameter or header that counts, def if it is absent.
func number(name, text string, def int) (int, error) {
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, hub.ErrArgument.With("%s must be a number over 0, it is %q", name, text)
	}
	return n, nil
}
