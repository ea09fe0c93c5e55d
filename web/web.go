// Package web is the page that people look at: for now one live page, embedded,
// written by hand, without third-party code and without a build step. It
// promises that the page loads nothing from elsewhere, keeps its memory bounded
// however many devices send, and needs only the API that serves it (package
// api). It leaves out every answer of its own: data comes from the API alone.
package web

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed static
var static embed.FS

// Handler serves the page at "/" and its files below "/assets/". What it sends
// needs no inline code or style, so the strictest content policy fits.
func Handler() http.Handler {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic("web: the embedded folder has another name: " + err.Error())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "live.html")
	})
	for _, name := range []string{"app.js", "chart.js", "style.css"} {
		mux.HandleFunc("GET /assets/"+name, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, files, name)
		})
	}
	return mux
}
