package api

import (
	"embed"
	"net/http"
	"path"
	"strings"
)

// pages are the reference and the sign-in: written by hand, so that nothing is
// loaded from elsewhere.
//
//go:embed docs
var pages embed.FS

var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}

// page serves one embedded file.
func page(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", pageTypes[path.Ext(name)])
		body, err := pages.ReadFile(name)
		if err != nil {
			problem(w, http.StatusNotFound, "no such page: "+strings.TrimPrefix(name, "docs/"))
			return
		}
		_, _ = w.Write(body) // the client may be gone
	})
}
