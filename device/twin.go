package device

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/weir-iot/weir/internal/mqtt311"
)

const (
	twinResponse  = "$iothub/twin/res/"
	twinGet       = "$iothub/twin/GET/?$rid="
	twinReport    = "$iothub/twin/PATCH/properties/reported/?$rid="
	desiredPrefix = "$iothub/twin/PATCH/properties/desired/"
)

// maxRequests bounds the twin requests that wait for an answer.
const maxRequests = 64

// A Twin is what the hub keeps for a device: what it is desired to be, and what
// it has reported. Both are JSON objects with their "$version".
type Twin struct {
	Desired  json.RawMessage `json:"desired"`
	Reported json.RawMessage `json:"reported"`
}

// A TwinError is the hub's refusal of a twin request: a status as HTTP has
// them (400 bad patch, 413 too large, 429 too many requests) and its body.
type TwinError struct {
	Status int
	Body   []byte
}

func (e *TwinError) Error() string {
	return fmt.Sprintf("device: the hub answered a twin request with status %d: %s", e.Status, e.Body)
}

// Twin fetches the twin.
func (c *Client) Twin(ctx context.Context) (*Twin, error) {
	r, err := c.ask(ctx, twinGet, []byte(" ")) // one space, as the SDKs send
	if err != nil {
		return nil, err
	}
	t := new(Twin)
	if err := json.Unmarshal(r.body, t); err != nil {
		return nil, fmt.Errorf("device: reading the twin: %w", err)
	}
	return t, nil
}

// Report merges patch, anything that marshals to a JSON object, into the
// reported properties and returns their new version. null deletes a property.
func (c *Client) Report(ctx context.Context, patch any) (version int64, err error) {
	body, err := json.Marshal(patch)
	if err != nil {
		return 0, fmt.Errorf("device: encoding reported properties: %w", err)
	}
	r, err := c.ask(ctx, twinReport, body)
	if err != nil {
		return 0, err
	}
	return r.version, nil
}

// Desired is a change of the desired properties.
type Desired struct {
	Properties json.RawMessage // a JSON object with "$version"
	Version    int64
	// Full says that Properties are all of them, not a patch: so they come once
	// after every connect where they changed meanwhile.
	Full bool
}

// OnDesired has handle called with the desired properties: all of them when the
// connection is there, then each patch. A nil in a patch deletes. Handlers of
// a client run one after the other and may use the client.
func (c *Client) OnDesired(handle func(ctx context.Context, d Desired)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inbox.desired = handle
	c.inbox.start(c)
	c.want(feedTwin)
	c.want(feedDesired)
}

// syncDesired fetches the twin for OnDesired; c.mu is held.
func (c *Client) syncDesired() {
	if c.inbox.desired == nil || len(c.requests.waiting) >= maxRequests {
		return
	}
	c.request(twinGet, []byte(" "), func(r response) {
		d, err := allDesired(r)
		if err == nil {
			err = c.inbox.put(delivery{desired: d})
		}
		if err != nil {
			c.logger.Warn("fetching desired properties", "error", err)
		}
	})
}

func allDesired(r response) (*Desired, error) {
	if r.err != nil {
		return nil, r.err
	}
	var t Twin
	if err := json.Unmarshal(r.body, &t); err != nil {
		return nil, err
	}
	var v struct {
		Version int64 `json:"$version"`
	}
	if err := json.Unmarshal(t.Desired, &v); err != nil {
		return nil, err
	}
	return &Desired{t.Desired, v.Version, true}, nil
}

// desiredPatch handles $iothub/twin/PATCH/properties/desired/?$version=n.
func (c *Client) desiredPatch(rest, payload []byte) error {
	_, query, _ := bytes.Cut(rest, []byte("?"))
	q, err := parseQuery(query)
	if err != nil {
		return err
	}
	return c.inbox.put(delivery{desired: &Desired{bytes.Clone(payload), q.version, false}})
}

// requests are the twin requests that wait; guarded by Client.mu. They are sent
// again on a new connection: a GET changes nothing, and a patch that is merged
// twice is merged once.
type requests struct {
	waiting map[string]*request
	next    uint64
}

type request struct {
	order  uint64
	packet []byte
	answer func(response) // runs once; must not block
}

type response struct {
	body    []byte
	version int64
	err     error
}

func (r *requests) init() { r.waiting = map[string]*request{} }

// appendAll appends every waiting request, oldest first.
func (r *requests) appendAll(b []byte) []byte {
	byAge := slices.SortedFunc(maps.Values(r.waiting), func(x, y *request) int { return int(x.order) - int(y.order) })
	for _, q := range byAge {
		b = append(b, q.packet...)
	}
	return b
}

func (r *requests) fail(err error) {
	for _, q := range r.waiting {
		q.answer(response{err: err})
	}
	clear(r.waiting)
}

func twinPacket(topic, rid string, body []byte) []byte {
	return mqtt311.AppendPublish(nil, &mqtt311.Publish{Topic: topic + rid, Payload: body})
}

// ask sends a twin request and waits for its answer.
func (c *Client) ask(ctx context.Context, topic string, body []byte) (response, error) {
	answered := make(chan response, 1)
	c.mu.Lock()
	if c.closing || len(c.requests.waiting) >= maxRequests {
		closing := c.closing
		c.mu.Unlock()
		if closing {
			return response{}, ErrClosed
		}
		return response{}, fmt.Errorf("device: %d twin requests wait for an answer: wait for one before the next", maxRequests)
	}
	rid := c.request(topic, body, func(r response) { answered <- r })
	c.mu.Unlock()
	select {
	case r := <-answered:
		return r, r.err
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.requests.waiting, rid)
		c.mu.Unlock()
		return response{}, fmt.Errorf("device: waiting for the answer to a twin request: %w", ctx.Err())
	}
}

// request lets a request leave as soon as its answer is subscribed to; c.mu is held.
func (c *Client) request(topic string, body []byte, answer func(response)) (rid string) {
	c.requests.next++
	rid = strconv.FormatUint(c.requests.next, 16)
	q := &request{c.requests.next, twinPacket(topic, rid, body), answer}
	c.requests.waiting[rid] = q
	c.want(feedTwin)
	if c.session != nil && c.feeds[feedTwin].granted {
		c.control = append(c.control, q.packet...)
		c.kick()
	}
	return rid
}

// response handles $iothub/twin/res/{status}/?$rid={rid}&$version={n}.
func (c *Client) response(rest, payload []byte) error {
	status, query, _ := bytes.Cut(rest, []byte("/?"))
	code, err := strconv.Atoi(string(status))
	if err != nil {
		return fmt.Errorf("device: twin response with status %q", status)
	}
	q, err := parseQuery(query)
	if err != nil {
		return err
	}
	r := response{body: bytes.Clone(payload), version: q.version}
	if code >= 300 {
		r.err = &TwinError{code, r.body}
	}
	c.mu.Lock()
	waiting := c.requests.waiting[q.rid]
	delete(c.requests.waiting, q.rid)
	c.mu.Unlock()
	if waiting != nil {
		waiting.answer(r)
	}
	return nil
}

// A query is what follows the '?' in a topic of twins and methods.
type query struct {
	rid     string
	version int64
}

func parseQuery(b []byte) (query, error) {
	var q query
	bag := mqtt311.NewBag(b)
	for {
		p, ok, err := bag.Next()
		if err != nil || !ok {
			return q, err
		}
		switch p.Key {
		case "$rid":
			q.rid = string([]byte(p.Value))
		case "$version":
			if q.version, err = strconv.ParseInt(p.Value, 10, 64); err != nil {
				return q, fmt.Errorf("device: topic with $version=%q", p.Value)
			}
		}
	}
}
