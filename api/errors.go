package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/store"
)

// deviceNotFound is what the article's API answers, word for word.
func deviceNotFound() error { return huma.Error404NotFound("Device not found") }

// explain puts what validation found into detail, so that a client that shows
// only detail (as FastAPI's clients do) shows what to change.
func explain(_ huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	if e.Status >= 500 {
		e.Errors = nil // causes belong into the log
		return e, nil
	}
	if len(e.Errors) > 0 {
		var b strings.Builder
		for i, d := range e.Errors {
			if i > 0 {
				b.WriteString("; ")
			}
			if d.Location != "" {
				fmt.Fprintf(&b, "%s: ", d.Location)
			}
			b.WriteString(d.Message)
		}
		e.Detail = b.String()
	}
	return e, nil
}

// fail turns an error of a lower stage into an answer; what is not the
// client's doing is logged and answered without its cause.
func (s *server) fail(ctx context.Context, doing string, err error) error {
	var he *hub.Error
	switch {
	case errors.Is(err, hub.ErrDeviceNotFound):
		return deviceNotFound()
	case errors.As(err, &he) && he.Status < 500:
		return huma.NewError(he.Status, he.Message)
	case ctx.Err() != nil:
		return huma.Error503ServiceUnavailable("the request was cancelled or the server is stopping")
	case errors.Is(err, store.ErrClosed), errors.Is(err, eventlog.ErrClosed), errors.Is(err, hub.ErrUnavailable):
		return huma.Error503ServiceUnavailable("the node is stopping: try again")
	}
	s.Logger.Error(doing+" failed", "error", err)
	return huma.Error500InternalServerError(doing + " failed: the node's log says why")
}

// problem writes problem details outside of huma.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(&huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: detail})
}

// notFound answers for every path without a route, and for every route with
// another method.
func notFound(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allow []string
		for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
			probe := &http.Request{Method: m, URL: r.URL, Host: r.Host}
			if _, pattern := mux.Handler(probe); pattern != "/" && pattern != "" {
				allow = append(allow, m)
			}
		}
		if len(allow) > 0 {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			problem(w, http.StatusMethodNotAllowed, fmt.Sprintf("%s takes %s", r.URL.Path, strings.Join(allow, ", ")))
			return
		}
		problem(w, http.StatusNotFound, "no such path: /docs lists what there is")
	}
}

// recover ends one request where a handler panics; http.ErrAbortHandler passes,
// it cuts a stream that can no longer end well.
func (s *server) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p != http.ErrAbortHandler {
				s.metrics.panics.Inc()
				s.Logger.Error("api handler panicked", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler) // the answer may have begun: only a cut connection says that it is not whole
		}()
		next.ServeHTTP(w, r)
	})
}
