package mqtt

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"
)

// WebSocketPath is where IoT Hub's clients look for MQTT over WebSocket.
const WebSocketPath = "/$iothub/websocket"

// WebSocket returns the handler of WebSocketPath. Connections that it takes end
// with ctx or with Shutdown.
func (s *Server) WebSocket(ctx context.Context) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Any origin may connect: nothing but the CONNECT packet authenticates,
		// which no page sends by accident. A client certificate a browser would
		// send by itself, so from a foreign page it does not count.
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			Subprotocols:       []string{"mqtt"},
			InsecureSkipVerify: true,
		})
		if err != nil {
			return // Accept has answered
		}
		if ws.Subprotocol() != "mqtt" {
			_ = ws.Close(websocket.StatusPolicyViolation, "subprotocol must be mqtt")
			return
		}
		from := origin{protocol: "mqtt-ws", certificates: certificatesOf(r)}
		nc := websocket.NetConn(ctx, ws, websocket.MessageBinary)
		_ = s.serveConn(ctx, nc, from) // refused: counted, and closed like any other
	})
}

func certificatesOf(r *http.Request) []*x509.Certificate {
	if r.TLS == nil {
		return nil
	}
	if o := r.Header.Get("Origin"); o != "" {
		if u, err := url.Parse(o); err != nil || !strings.EqualFold(u.Host, r.Host) {
			return nil
		}
	}
	return r.TLS.PeerCertificates
}
