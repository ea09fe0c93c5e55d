package output

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/stream"
)

// WebhookOptions configure a Webhook; URL must be set.
type WebhookOptions struct {
	URL string
	// Secret is the key of the signature; "": requests are not signed.
	Secret string
	// Batch is the number of rows of one request at most; 0 is 100.
	Batch int
	// Private allows addresses of this machine and of private networks. Without it
	// they are refused when the connection is made, whatever the name in the URL
	// was said to be before.
	Private bool
	// Timeout bounds a request; 0 is 30 s.
	Timeout time.Duration
	Now     func() time.Time // nil is time.Now
}

// maxRequest bounds the body of a request of several rows, in bytes.
const maxRequest = 1 << 20

// Headers of a request. The signature is "t=SECONDS,v1=HEX": HEX is HMAC-SHA256
// of "SECONDS.BODY" with the secret, so that old requests cannot be sent again.
const (
	SignatureHeader = "X-Weir-Signature"
	// FirstRowHeader is the RowID of the first row; those behind it have the
	// ordinals, which are the last number of it, that follow.
	FirstRowHeader = "X-Weir-First-Row"
)

// Webhook posts rows as arrays of JSON objects, in order, at least once.
type Webhook struct {
	o      WebhookOptions
	client *http.Client
	marks  *marks
}

var _ stream.Output = (*Webhook)(nil)

// NewWebhook returns the output. The bucket keeps marks.
func NewWebhook(o WebhookOptions, b blob.Bucket) (*Webhook, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("output: webhook: %.80q is no URL of http or https", o.URL)
	}
	if o.Batch == 0 {
		o.Batch = 100
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if !o.Private {
		dialer.Control = refusePrivate
	}
	return &Webhook{o: o, marks: newMarks(b), client: &http.Client{
		Timeout: o.Timeout,
		// No proxy: it would dial for us, past the check.
		Transport:     &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// errPrivate refuses an address.
var errPrivate = errors.New("output: webhook: the address is one of this machine or of a private network, which the output does not allow")

// refusePrivate checks an address when it is dialled: a name may have been
// another's a moment ago.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !public(at.Addr().Unmap()) {
		return fmt.Errorf("%w: %s", errPrivate, at.Addr())
	}
	return nil
}

// notPublic are the ranges that netip has no word for: shared address space,
// IETF protocols and benchmarks (RFC 6890), and those that lead to IPv4.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
}

func public(a netip.Addr) bool {
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
}

// Mark implements stream.Output.
func (w *Webhook) Mark(ctx context.Context, s stream.Shard) (stream.Ordinal, error) {
	at, _, err := w.marks.load(ctx, s)
	return at.Ordinal, err
}

// Write implements stream.Output.
func (w *Webhook) Write(ctx context.Context, s stream.Shard, rows []stream.OutputRow) error {
	at, _, err := w.marks.load(ctx, s)
	if err != nil {
		return err
	}
	for len(rows) > 0 && rows[0].Ordinal <= at.Ordinal {
		rows = rows[1:] // posted by a try that failed at later ones
	}
	for len(rows) > 0 {
		body, n := w.batch(rows)
		if err := w.post(ctx, s.RowID(rows[0].Ordinal), body); err != nil {
			return err
		}
		w.marks.set(s, mark{Ordinal: rows[n-1].Ordinal})
		if err := w.marks.save(ctx); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// batch makes the body of the next request, of n rows.
func (w *Webhook) batch(rows []stream.OutputRow) (body []byte, n int) {
	body = append(body, '[')
	for n < len(rows) && n < w.o.Batch && (n == 0 || len(body)+len(rows[n].Data) < maxRequest) {
		if n > 0 {
			body = append(body, ',')
		}
		body = append(body, rows[n].Data...)
		n++
	}
	return append(body, ']'), n
}

func (w *Webhook) post(ctx context.Context, first string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.o.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("output: webhook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "weir")
	req.Header.Set(FirstRowHeader, first)
	if w.o.Secret != "" {
		req.Header.Set(SignatureHeader, Sign(w.o.Secret, w.o.Now(), body))
	}
	res, err := w.client.Do(req)
	if err != nil {
		return fmt.Errorf("output: webhook: %s: %w", req.URL.Host, withoutURL(err))
	}
	defer res.Body.Close()
	says, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // for the error, and to use the connection again
	switch {
	case res.StatusCode/100 == 2:
		return nil
	case res.StatusCode == http.StatusBadRequest, res.StatusCode == http.StatusRequestEntityTooLarge, res.StatusCode == http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %s: %.200q", stream.ErrRefused, res.Status, says)
	default:
		w.rest(ctx, res.Header.Get("Retry-After"))
		return fmt.Errorf("output: webhook: %s: %.200q", res.Status, says)
	}
}

// withoutURL is err less the URL, whose query may be a key and is shown to nobody.
func withoutURL(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// maxRest bounds how long a server may ask us to wait.
const maxRest = time.Minute

func (w *Webhook) rest(ctx context.Context, after string) {
	seconds, err := strconv.Atoi(after)
	if err != nil || seconds <= 0 {
		return
	}
	t := time.NewTimer(min(time.Duration(seconds)*time.Second, maxRest))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Sign returns the value of SignatureHeader for a body that is sent at a time.
func Sign(secret string, at time.Time, body []byte) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(seconds + ".")) // never fails
	h.Write(body)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(h.Sum(nil))
}

// Flush implements stream.Output.
func (w *Webhook) Flush(ctx context.Context) error { return w.marks.save(ctx) }
