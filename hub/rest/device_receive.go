package rest

import (
	"net/http"
	"strconv"
	"time"

	"github.com/weir-iot/weir/hub"
)

// receive is GET /devices/{id}/messages/devicebound: the next cloud-to-device
// message, locked for a minute under its ETag, or 204.
func (c *call) receive() error {
	s, err := c.connect()
	if err != nil {
		return err
	}
	defer s.Close()
	m, err := s.Receive(c.Context())
	if err != nil {
		return err
	}
	if m == nil {
		return c.empty(http.StatusNoContent)
	}
	h := c.w.Header()
	put(h, "ETag", `"`+m.LockToken+`"`)
	put(h, "iothub-messageid", m.MessageID)
	put(h, "iothub-correlationid", m.CorrelationID)
	put(h, "iothub-userid", m.UserID)
	put(h, "iothub-to", m.To)
	put(h, "iothub-ack", m.Ack)
	put(h, "iothub-contenttype", m.ContentType)
	put(h, "iothub-contentencoding", m.Encoding)
	put(h, "iothub-sequencenumber", strconv.FormatInt(m.Sequence, 10))
	put(h, "iothub-deliverycount", strconv.Itoa(m.DeliveryCount))
	put(h, "iothub-enqueuedtime", stamp(m.Enqueued))
	put(h, "iothub-expiry", stamp(m.Expires))
	for _, p := range m.Properties {
		h[headerName(appPrefix+p.Key)] = []string{headerValue(p.Value)}
	}
	c.write(http.StatusOK, "application/octet-stream", m.Body)
	return nil
}

// stamp is a time in a header, "" for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// settle is DELETE /devices/{id}/messages/devicebound/{lock}: complete, or
// reject with ?reject.
func (c *call) settle() error {
	reject := hasParameter(c.URL.RawQuery, "reject")
	return c.settleWith(func(s *hub.Session) error {
		if reject {
			return s.Reject(c.Context(), c.lock)
		}
		return s.Complete(c.Context(), c.lock)
	})
}

// abandon is POST /devices/{id}/messages/devicebound/{lock}/abandon.
func (c *call) abandon() error {
	return c.settleWith(func(s *hub.Session) error { return s.Abandon(c.Context(), c.lock) })
}

func (c *call) settleWith(f func(*hub.Session) error) error {
	s, err := c.connect()
	if err != nil {
		return err
	}
	defer s.Close()
	if err := f(s); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}
