package device

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/internal/sas"
	"github.com/weir-iot/weir/telemetry"
)

func TestConnectSaysWhatTheSDKsSay(t *testing.T) {
	for _, c := range []struct {
		name, connection, client, username, resource string
		o                                            Options
	}{
		{
			name:       "device",
			connection: testConnection,
			client:     "d1",
			username:   `^hub\.example/d1/\?api-version=2021-04-12&DeviceClientType=weir-device%20%28go[^&]*%29$`,
			resource:   "hub.example/devices/d1",
		},
		{
			name:       "module with a model through a gateway",
			connection: "HostName=hub.example;DeviceId=d1;ModuleId=m1;GatewayHostName=gate;SharedAccessKey=a2V5a2V5",
			o:          Options{ModelID: "dtmi:com:example:Pump;1", ProductInfo: "plant/7"},
			client:     "d1/m1",
			username:   `^hub\.example/d1/m1/\?api-version=2021-04-12&DeviceClientType=weir-device.*%20plant%2F7&model-id=dtmi%3Acom%3Aexample%3APump%3B1$`,
			resource:   "hub.example/devices/d1/modules/m1",
		},
		{
			name:       "the port is no part of the name",
			connection: "HostName=hub.example:18883;DeviceId=d1;SharedAccessKey=a2V5a2V5",
			client:     "d1",
			username:   `^hub\.example/d1/`,
			resource:   "hub.example/devices/d1",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got mqtt311.Connect
				p := newPeer(t, func(w *wire) {
					got = w.accept(mqtt311.Accepted)
					w.serve(nil)
				})
				c.o.Dial, c.o.plain = p.dial, true
				client, err := Connect(t.Context(), c.connection, c.o)
				if err != nil {
					t.Fatal(err)
				}
				closed(t, client)
				if got.ClientID != c.client || got.CleanSession || got.KeepAlive != 60 {
					t.Errorf("client id %q, clean session %v, keep alive %d", got.ClientID, got.CleanSession, got.KeepAlive)
				}
				if !regexp.MustCompile(c.username).MatchString(got.Username) {
					t.Errorf("user name %q does not match %s", got.Username, c.username)
				}
				token, err := sas.Parse(string(got.Password))
				if err != nil {
					t.Fatal(err)
				}
				key := c.connection[strings.Index(c.connection, "SharedAccessKey=")+len("SharedAccessKey="):]
				if !token.Verify(key) || !token.Covers(strings.SplitN(c.resource, "/", 2)[1]) {
					t.Errorf("token %s is not one of %s for %s", got.Password, key, c.resource)
				}
				if left := time.Until(token.Expires); left < 59*time.Minute || left > time.Hour {
					t.Errorf("the token lives %v, want 1 h", left)
				}
			})
		})
	}
}

func TestAddress(t *testing.T) {
	for _, c := range []struct{ connection, host, address string }{
		{"HostName=h;DeviceId=d;x509=true", "h", "h:8883"},
		{"HostName=h:18883;DeviceId=d;x509=true", "h", "h:18883"},
		{"HostName=h;GatewayHostName=g;DeviceId=d;x509=true", "g", "g:8883"},
		{"HostName=h:1;GatewayHostName=g:2;DeviceId=d;x509=true", "g", "g:2"},
		{"HostName=127.0.0.1;DeviceId=d;x509=true", "127.0.0.1", "127.0.0.1:8883"},
		{"HostName=::1;DeviceId=d;x509=true", "::1", "[::1]:8883"},
		{"HostName=[::1];DeviceId=d;x509=true", "::1", "[::1]:8883"},
		{"HostName=[::1]:18883;DeviceId=d;x509=true", "::1", "[::1]:18883"},
	} {
		cred, err := parseConnectionString(c.connection)
		if err != nil {
			t.Errorf("%s: %v", c.connection, err)
			continue
		}
		if host, address := cred.address(mqttPort); host != c.host || address != c.address {
			t.Errorf("%s: %s, %s; want %s, %s", c.connection, host, address, c.host, c.address)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name, connection, want string
		o                      Options
	}{
		{"a service's", "HostName=h;SharedAccessKeyName=service;SharedAccessKey=a2V5", "SharedAccessKeyName makes it a service's", Options{}},
		{"no device", "HostName=h;SharedAccessKey=a2V5", "DeviceId", Options{}},
		{"no host", "DeviceId=d;SharedAccessKey=a2V5", "HostName is missing", Options{}},
		{"long id", "HostName=h;SharedAccessKey=a2V5;DeviceId=" + strings.Repeat("d", 300), "longer than 257", Options{}},
		{"no certificate", "HostName=h;DeviceId=d;x509=true", "set Options.Certificate", Options{}},
		{"window", testConnection, "Options.Window is 32769", Options{Window: MaxWindow + 1}},
		{"bytes", testConnection, "Options.WindowBytes is -1", Options{WindowBytes: -1}},
		{"keep alive", testConnection, "from 2s to 19m37s", Options{KeepAlive: time.Hour}},
		{"token life", testConnection, "at least 1s", Options{TokenLife: time.Millisecond}},
		{"back-off", testConnection, "must not be above", Options{BackoffMin: time.Hour, BackoffMax: time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, err := New(c.connection, c.o)
			if err == nil {
				closed(t, client)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "a2V5") {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}

func TestRootsOfTheEnvironment(t *testing.T) {
	t.Setenv("SSL_CERT_FILE", t.TempDir()+"/none.pem")
	if _, err := New(testConnection, Options{}); err == nil || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
		t.Errorf("error %v, want one that names SSL_CERT_FILE", err)
	}
}

func TestRefusals(t *testing.T) {
	for code, want := range map[mqtt311.ConnectCode]error{
		mqtt311.RefusedCredentials: ErrUnauthorized,
		mqtt311.RefusedAuthorized:  ErrUnauthorized,
		mqtt311.RefusedClientID:    ErrRefused,
		mqtt311.RefusedProtocol:    ErrRefused,
	} {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, func(w *wire) { w.accept(code) })
				if _, err := Connect(t.Context(), testConnection, p.options()); !errors.Is(err, want) {
					t.Errorf("error %v, want %v", err, want)
				}
				if n := p.count(); n != 1 {
					t.Errorf("%d attempts, want 1: a refusal ends Connect", n)
				}
			})
		})
	}
}

func TestConnectWaitsForAHubThatComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil, nil, func(w *wire) { w.accept(mqtt311.RefusedUnavailable) }, good(nil))
		begin := time.Now()
		c := connected(t, p, p.options())
		waited := time.Since(begin)
		// Three pauses of 250, 500 and 1000 ms, half of each random.
		if low, high := 875*time.Millisecond, 1750*time.Millisecond; waited < low || waited > high {
			t.Errorf("connected after %v, want %v to %v", waited, low, high)
		}
		closed(t, c)
	})
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := Connect(ctx, testConnection, p.options())
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("error %v, want the deadline and the last attempt's", err)
		}
		// Pauses grow to 30 s, of which at least 15.
		if n := p.count(); n < 120 || n > 260 {
			t.Errorf("%d attempts in an hour, want 120 to 260", n)
		}
	})
}

func TestSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []sent
		p := newPeer(t, good(func(s sent) { got = append(got, s) }))
		c := connected(t, p, p.options())
		for _, m := range []Message{
			{Body: []byte("1")},
			{ID: "my id", ContentType: "application/json", Encoding: "utf-8", CorrelationID: "c&1", UserID: "u",
				Subject: "pump", Output: "out", Created: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC),
				Properties: telemetry.Properties{{Key: "a b", Value: "c=d"}, {Key: "flag", Null: true}}, Body: []byte("{}")},
		} {
			if err := c.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		closed(t, c)
		if len(got) != 2 || got[0].id != 1 || got[1].id != 2 {
			t.Fatalf("received %+v", got)
		}
		if !regexp.MustCompile(`^devices/d1/messages/events/%24\.mid=[0-9a-f]{16}-0$`).MatchString(got[0].topic) {
			t.Errorf("topic %s", got[0].topic)
		}
		const want = "devices/d1/messages/events/%24.mid=my%20id&%24.cid=c%261&%24.uid=u&%24.ct=application%2Fjson&%24.ce=utf-8" +
			"&%24.sub=pump&%24.on=out&%24.ctime=2026-01-02T03%3A04%3A05.006Z&a%20b=c%3Dd&flag"
		if got[1].topic != want || got[1].body != "{}" {
			t.Errorf("topic\n%s, want\n%s", got[1].topic, want)
		}
		if s := c.Stats(); s != (Stats{Sent: 2, Acked: 2, Connects: 1}) {
			t.Errorf("stats %+v", s)
		}
		if err := c.Send(t.Context(), Message{}); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestSendRefusesWhatNoHubTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, good(nil))
		c := connected(t, p, p.options())
		if err := c.Send(t.Context(), Message{Body: make([]byte, MaxMessage)}); err != nil {
			t.Errorf("256 KB: %v", err)
		}
		for _, m := range []Message{
			{Body: make([]byte, MaxMessage+1)},
			{Body: make([]byte, MaxMessage), Properties: telemetry.Properties{{Key: "k", Value: "v"}}},
			{Properties: telemetry.Properties{{Key: "k", Value: strings.Repeat("&", 1<<15)}}}, // 96 KB of topic
		} {
			if err := c.Send(t.Context(), m); !errors.Is(err, ErrTooLarge) {
				t.Errorf("error %v, want ErrTooLarge", err)
			}
		}
		closed(t, c)
	})
}

// The window is the heart: whatever happens to connections and
// acknowledgements, each message is acknowledged once, in order, under one id.
func TestCutsLoseNothing(t *testing.T) {
	const total, window = 200, 16
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var arrived []sent // across connections, in order
		see := func(s sent) { mu.Lock(); arrived = append(arrived, s); mu.Unlock() }
		cutAfter := func(messages, acks int) func(*wire) {
			return func(w *wire) {
				w.accept(mqtt311.Accepted)
				for i := range messages {
					s, ok := w.publish()
					if !ok {
						return
					}
					see(s)
					if i < acks {
						w.ack(s.id)
					}
				}
			}
		}
		p := newPeer(t,
			cutAfter(10, 10), // everything acknowledged
			cutAfter(10, 3),  // cut in mid window: seven lost acknowledgements
			cutAfter(0, 0),
			nil,
			func(w *wire) { // half a packet of an acknowledgement
				w.accept(mqtt311.Accepted)
				if s, ok := w.publish(); ok {
					see(s)
					w.send(mqtt311.AppendPuback(nil, s.id)[:3])
				}
			},
			good(see))
		o := p.options()
		o.Window = window
		c := connected(t, p, o)
		var acked []int
		for i := range total {
			c.SendAsync(t.Context(), Message{Body: []byte(fmt.Sprint(i))}, func(err error) {
				if err != nil {
					t.Errorf("message %d: %v", i, err)
				}
				acked = append(acked, i)
			})
		}
		closed(t, c)
		p.wg.Wait()
		if !slices.IsSorted(acked) || len(acked) != total {
			t.Errorf("acknowledged %d of %d, in order: %v", len(acked), total, slices.IsSorted(acked))
		}
		checkArrival(t, arrived, total)
		if s := c.Stats(); s.Connects != 5 || s.Resent == 0 {
			t.Errorf("stats %+v, want 5 connects and messages sent again", s)
		}
	})
}

// checkArrival wants every message, first copies in order, and copies alike
// but for DUP.
func checkArrival(t *testing.T, arrived []sent, total int) {
	t.Helper()
	first := map[string]sent{}
	next := 0
	for _, s := range arrived {
		if f, again := first[s.body]; again {
			if !s.dup || s.id != f.id || s.topic != f.topic {
				t.Errorf("message %s came as %+v, and again as %+v", s.body, f, s)
			}
			continue
		}
		if s.body != fmt.Sprint(next) {
			t.Fatalf("message %s arrived, want %d first", s.body, next)
		}
		next++
		first[s.body] = s
	}
	if next != total {
		t.Errorf("%d messages arrived, want %d", next, total)
	}
}

func TestWindowPushesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := newPeer(t, func(w *wire) {
			w.accept(mqtt311.Accepted)
			for range 2 {
				w.publish()
			}
			<-release
			w.ack(2) // out of order: the first still holds its place
			w.ack(1)
			w.serve(nil)
		})
		o := p.options()
		o.Window = 2
		c := connected(t, p, o)
		var order []int
		note := func(i int) func(error) {
			return func(err error) {
				if err != nil {
					t.Errorf("message %d: %v", i, err)
				}
				order = append(order, i)
			}
		}
		c.SendAsync(t.Context(), Message{}, note(1))
		c.SendAsync(t.Context(), Message{}, note(2))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Send(ctx, Message{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("third message: %v, want it to wait until the deadline", err)
		}
		var wg sync.WaitGroup
		for i := range 5 { // waiters all get their turn
			wg.Go(func() {
				if err := c.Send(t.Context(), Message{Body: []byte{byte(i)}}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		closed(t, c)
		if !slices.Equal(order, []int{2, 1}) {
			t.Errorf("acknowledged in order %v, want 2, 1 as the hub did", order)
		}
		if s := c.Stats(); s.Acked != 7 {
			t.Errorf("%d acknowledged, want 7", s.Acked)
		}
	})
}

func TestWindowBytesPushBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := newPeer(t, func(w *wire) {
			w.accept(mqtt311.Accepted)
			s, _ := w.publish()
			<-release
			w.ack(s.id)
			w.serve(nil)
		})
		o := p.options()
		o.WindowBytes = 1000
		c := connected(t, p, o)
		fail := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		c.SendAsync(t.Context(), Message{Body: make([]byte, 5000)}, fail) // a single one always fits
		entered := false
		var wg sync.WaitGroup
		wg.Go(func() {
			c.SendAsync(t.Context(), Message{Body: make([]byte, 100)}, fail)
			entered = true
		})
		synctest.Wait()
		if entered {
			t.Error("a second message entered a window whose bytes are used up")
		}
		close(release)
		wg.Wait()
		closed(t, c)
	})
}

func TestSendBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		p := newPeer(t, good(func(s sent) { got = append(got, s.body) }))
		o := p.options()
		o.Window = 3
		c := connected(t, p, o)
		err := c.SendBatch(t.Context(), []Message{
			{Body: []byte("0")}, {Body: []byte("1")}, {Body: make([]byte, MaxMessage+1)}, {Body: []byte("2")}, {Body: []byte("3")},
		})
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("error %v, want that of the third", err)
		}
		closed(t, c)
		if !slices.Equal(got, []string{"0", "1", "2", "3"}) {
			t.Errorf("received %v", got)
		}
	})
}

func TestTokenRenewalWaitsForWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var connects []time.Time
		var resent, goodbyes int
		script := func(w *wire) {
			w.accept(mqtt311.Accepted)
			mu.Lock()
			connects = append(connects, time.Now())
			mu.Unlock()
			for {
				h, body, ok := w.next()
				if !ok {
					return
				}
				switch h.Type {
				case mqtt311.PUBLISH:
					p, _ := mqtt311.ParsePublish(h.Flags, body)
					if p.Dup {
						mu.Lock()
						resent++
						mu.Unlock()
					}
					id := p.ID
					time.Sleep(300 * time.Millisecond) // a slow disk
					w.ack(id)
				case mqtt311.PINGREQ:
					w.send(mqtt311.AppendPingresp(nil))
				case mqtt311.DISCONNECT:
					mu.Lock()
					goodbyes++
					mu.Unlock()
					return
				}
			}
		}
		p := newPeer(t, script)
		o := p.options()
		o.TokenLife = 10 * time.Minute
		c := connected(t, p, o)
		begin := time.Now()
		n := 0
		for ; time.Since(begin) < time.Hour; n++ {
			if err := c.Send(t.Context(), Message{}); err != nil {
				t.Fatal(err)
			}
		}
		closed(t, c)
		p.wg.Wait()
		// Every 8.5 minutes for an hour, the first included.
		if len(connects) != 8 || goodbyes != 8 {
			t.Errorf("%d connections and %d DISCONNECTs, want 8", len(connects), goodbyes)
		}
		for i := 1; i < len(connects); i++ {
			if life := connects[i].Sub(connects[i-1]); life > o.TokenLife {
				t.Errorf("connection %d lived %v, longer than its token", i, life)
			}
		}
		if resent != 0 {
			t.Errorf("%d messages were sent again by renewals", resent)
		}
	})
}

func TestRenewalDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, func(w *wire) {
			w.accept(mqtt311.Accepted)
			for { // acknowledges nothing
				if h, _, ok := w.next(); !ok {
					return
				} else if h.Type == mqtt311.PINGREQ {
					w.send(mqtt311.AppendPingresp(nil))
				}
			}
		}, good(nil))
		o := p.options()
		o.TokenLife = 10 * time.Minute
		c := connected(t, p, o)
		begin := time.Now()
		if err := c.Send(t.Context(), Message{}); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begin); waited != 510*time.Second+renewGrace {
			t.Errorf("acknowledged after %v, want 85%% of the token's life and %v", waited, renewGrace)
		}
		closed(t, c)
	})
}

func TestSilentHubIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, func(w *wire) {
			w.accept(mqtt311.Accepted)
			for {
				if _, _, ok := w.next(); !ok {
					return
				}
			}
		}, good(nil))
		var causes []error
		o := p.options()
		o.OnConnection = func(err error) { causes = append(causes, err) }
		c := connected(t, p, o)
		begin := time.Now()
		if err := c.Send(t.Context(), Message{}); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begin); waited > defaultKeepAlive+time.Second {
			t.Errorf("the silent hub was given up after %v", waited)
		}
		closed(t, c)
		if len(causes) != 3 || causes[0] != nil || !errors.Is(causes[1], errSilent) || causes[2] != nil {
			t.Errorf("OnConnection saw %v", causes)
		}
	})
}

func TestKeepAliveHoldsAQuietConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, good(nil))
		o := p.options()
		o.TokenLife = 100 * time.Hour
		c := connected(t, p, o)
		time.Sleep(24 * time.Hour)
		closed(t, c)
		if n := p.count(); n != 1 {
			t.Errorf("%d connections in a quiet day, want 1", n)
		}
	})
}

// Two clients of one device throw each other out: the back-off must grow.
func TestShortConnectionsDoNotResetTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, func(w *wire) { w.accept(mqtt311.Accepted) })
		c, err := New(testConnection, p.options())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if n := p.count(); n > 260 {
			t.Errorf("%d connections in an hour, want at most 260", n)
		}
		closed(t, c)
	})
}

func TestCloseReportsWhatItLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, func(w *wire) {
			w.accept(mqtt311.Accepted)
			for {
				if _, _, ok := w.next(); !ok {
					return
				}
			}
		})
		c := connected(t, p, p.options())
		var failed int
		for range 3 {
			c.SendAsync(t.Context(), Message{}, func(err error) {
				if errors.Is(err, ErrClosed) {
					failed++
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.Close(ctx)
		if !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "3 messages") || failed != 3 {
			t.Errorf("Close: %v, and %d callbacks", err, failed)
		}
		if err := c.Close(ctx); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestHostileHub(t *testing.T) {
	for name, packet := range map[string][]byte{
		"a client's packet":   mqtt311.AppendPingreq(nil),
		"a giant":             {0x30, 0xff, 0xff, 0xff, 0x7f},
		"five length bytes":   {0x30, 0xff, 0xff, 0xff, 0xff, 0x01},
		"topic past the end":  {0x30, 3, 0xff, 0xff, 'x'},
		"PUBACK without id":   {0x40, 0},
		"SUBACK without code": {0x90, 2, 0, 1},
		"twin status":         mqtt311.AppendPublish(nil, &mqtt311.Publish{Topic: "$iothub/twin/res/two/?$rid=1"}),
		"method without rid":  mqtt311.AppendPublish(nil, &mqtt311.Publish{Topic: "$iothub/methods/POST/m/"}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, func(w *wire) {
					w.accept(mqtt311.Accepted)
					w.send(packet)
					w.next()
				}, good(nil))
				c := connected(t, p, p.options())
				if err := c.Send(t.Context(), Message{}); err != nil {
					t.Fatal(err)
				}
				closed(t, c)
				if n := p.count(); n != 2 {
					t.Errorf("%d connections, want a second after the violation", n)
				}
			})
		})
	}
}
