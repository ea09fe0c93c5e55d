package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

var (
	rounds = flag.Int("rounds", 50, "kills of the real process in TestTortureKill")
	cuts   = flag.Int("cuts", 20, "simulated power cuts in TestTorturePowerCut")
	seed   = flag.Uint64("seed", 0, "seed of the torture tests; 0 takes one from the clock")
)

// failpoints are the named places where the node kills itself; "" is a kill at
// a random moment. The sweep of expired days, which needs a clock that is days
// ahead, is killed in store/pebble.
var failpoints = []string{
	"", "log/before-write", "log/after-write", "log/before-ack", "log/segment-roll", "hot/checkpoint",
}

// A ledger is what the devices know, kept outside the node: which messages were
// sent and which of them were acknowledged. No message is ever sent twice.
type ledger struct {
	devices     []*ledgerDevice
	sent, acked atomic.Int64
	// body is that of message n of a device.
	body func(device string, n int) string
}

type ledgerDevice struct {
	id, connectionString string
	sent                 int
	acked                []bool // by n
}

func newLedger(t *testing.T, n *node, devices int) *ledger {
	l := &ledger{body: func(_ string, n int) string {
		return fmt.Sprintf(`{"n":%d,"pad":%q}`, n, "0123456789012345678901234567890123456789")
	}}
	for i := range devices {
		id := fmt.Sprintf("torture-%02d", i)
		l.devices = append(l.devices, &ledgerDevice{id: id, connectionString: n.device(t, id)})
	}
	return l
}

// window is how many messages a device has in flight.
const window = 32

// send lets every device publish until the node goes away or stop is closed.
// Acknowledgements that come after cut is set do not count: they race with it.
func (l *ledger) send(t *testing.T, n *node, stop <-chan struct{}, cut *atomic.Bool) {
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(n.data, "tls", "ca.pem"))
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Errorf("CA: %v", err)
		return
	}
	var wg sync.WaitGroup
	for _, d := range l.devices {
		wg.Go(func() {
			if err := l.publish(d, n.mqtt, &tls.Config{RootCAs: pool}, stop, cut); err != nil {
				t.Errorf("%s: %v", d.id, err)
			}
		})
	}
	wg.Wait()
}

// publish sends with a client that is not ours, pipelined, each n once.
func (l *ledger) publish(d *ledgerDevice, addr string, config *tls.Config, stop <-chan struct{}, cut *atomic.Bool) error {
	lost := make(chan struct{})
	var once sync.Once
	o := paho.NewClientOptions().AddBroker("ssl://" + addr).SetClientID(d.id).SetCleanSession(false).
		SetUsername("localhost/" + d.id + "/?api-version=2021-04-12").
		SetPassword(token("localhost/devices/"+d.id, part(d.connectionString, "SharedAccessKey"), time.Now().Add(time.Hour))).
		SetTLSConfig(config).SetAutoReconnect(false).SetConnectTimeout(5 * time.Second).SetWriteTimeout(time.Second).SetMessageChannelDepth(window).
		SetConnectionLostHandler(func(paho.Client, error) { once.Do(func() { close(lost) }) })
	c := paho.NewClient(o)
	if tok := c.Connect(); !tok.WaitTimeout(10*time.Second) || tok.Error() != nil {
		select {
		case <-stop: // the node was killed while this device came
			return nil
		case <-time.After(5 * time.Second):
			return tok.Error()
		}
	}
	defer c.Disconnect(0)
	type flight struct {
		n   int
		tok paho.Token
	}
	flights := make(chan flight, window)
	acks := make(chan struct{})
	go func() { // in order: acknowledgements leave in order
		defer close(acks)
		for f := range flights {
			select {
			case <-f.tok.Done():
			case <-lost:
				select {
				case <-f.tok.Done():
				default:
					continue
				}
			}
			if f.tok.Error() == nil && !cut.Load() {
				d.acked[f.n] = true
				l.acked.Add(1)
			}
		}
	}()
	topic := "devices/" + d.id + "/messages/events/"
	// The goroutine above indexes acked: it must not move.
	const most = 1 << 18
	d.acked = append(make([]bool, 0, d.sent+most), d.acked...)[:d.sent+most]
	first := d.sent
	for d.sent < first+most {
		select {
		case <-lost:
		case <-stop:
		default:
			n := d.sent
			tok := c.Publish(topic, 1, false, l.body(d.id, n))
			d.sent++
			l.sent.Add(1)
			flights <- flight{n, tok}
			continue
		}
		break
	}
	close(flights)
	<-acks
	d.acked = d.acked[:d.sent]
	return nil
}

// verify reads every device's rows from the API: each acknowledged message is
// there, none twice, in the order of sending. It returns lost, doubled, disordered.
func (l *ledger) verify(t *testing.T, n *node) (lost, doubled, disordered int) {
	t.Helper()
	for _, d := range l.devices {
		var got []int
		eventually(t, "the hot store has what the log has", func() error {
			got = n.numbers(t, d.id)
			missing := d.missing(got)
			if missing > 0 {
				return fmt.Errorf("%d acknowledged messages of %s are not in the API", missing, d.id)
			}
			return nil
		})
		lost += d.missing(got)
		seen := make(map[int]bool, len(got))
		for i, v := range got {
			if seen[v] {
				doubled++
			}
			seen[v] = true
			if i > 0 && v < got[i-1] {
				disordered++
			}
			if v >= d.sent {
				t.Errorf("%s has message %d, which was never sent", d.id, v)
			}
		}
	}
	return lost, doubled, disordered
}

// mustHold verifies, and ends the test where the promise is broken.
func (l *ledger) mustHold(t *testing.T, n *node, when string) {
	t.Helper()
	lost, doubled, disordered := l.verify(t, n)
	t.Logf("%s: %d acknowledged, %d lost, %d doubled, %d out of order", when, l.acked.Load(), lost, doubled, disordered)
	if lost+doubled+disordered > 0 {
		t.Fatalf("the promise is broken; weir's log:\n%s", n.logText())
	}
}

func (d *ledgerDevice) missing(got []int) (n int) {
	have := make(map[int]bool, len(got))
	for _, v := range got {
		have[v] = true
	}
	for v, acked := range d.acked {
		if acked && !have[v] {
			n++
		}
	}
	return n
}

// numbers returns the n of each of a device's rows, oldest first, page by page.
func (n *node) numbers(t *testing.T, id string) []int {
	t.Helper()
	var newest []int
	for path := "/devices/" + id + "/telemetry?hours=24&limit=10000"; path != ""; {
		body, next, err := n.page(path)
		if err != nil {
			if strings.Contains(err.Error(), "404") {
				return nil
			}
			t.Fatal(err)
		}
		var answer struct {
			Telemetry []struct{ Data struct{ N int } }
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			t.Fatal(err)
		}
		for _, r := range answer.Telemetry {
			newest = append(newest, r.Data.N)
		}
		path = next
	}
	slices.Reverse(newest)
	return newest
}

// page gets a page and the path of the next one, "" behind the last.
func (n *node) page(path string) (body []byte, next string, err error) {
	body, header, err := n.request(path)
	if target, ok := strings.CutPrefix(header.Get("Link"), "<"); ok {
		next, _, _ = strings.Cut(target, ">")
	}
	return body, next, err
}

func random(t *testing.T) *rand.Rand {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

// busy makes the log roll and the store checkpoint within a second.
const busy = "log: { segment: 1MB }\nstore: { flush: 200ms }\n"

// tortured returns a node on free ports with a configuration, not started.
func tortured(t *testing.T, data, config string) *node {
	t.Helper()
	n := elsewhere(t)
	n.data = data
	file := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	n.args = append(n.args, "--config", file)
	return n
}

// perFolder is how many rounds are played in one data folder: verifying reads
// it whole.
const perFolder = 100

// TestTortureKill kills the real process at random moments and at named places,
// and holds what is left against the ledger.
func TestTortureKill(t *testing.T) {
	r := random(t)
	k := killings{reached: map[string]int{}}
	for left := *rounds; left > 0; left -= perFolder {
		k.folder(t, r, min(left, perFolder))
	}
	t.Logf("%d rounds, %d acknowledged, 0 lost, 0 doubled, 0 out of order; slowest restart %v, with %d MB of log; failpoints reached: %v",
		*rounds, k.acked, k.slowest.Round(time.Millisecond), k.size>>20, k.reached)
	for _, point := range failpoints[1:] {
		if k.reached[point] == 0 && *rounds >= 2*len(failpoints) {
			t.Errorf("failpoint %s was never reached: this run proves nothing about it", point)
		}
	}
	if k.acked < int64(50**rounds) {
		t.Errorf("only %d messages were acknowledged: this run proves little", k.acked)
	}
}

// killings is what the rounds of a test add up to.
type killings struct {
	acked   int64
	reached map[string]int
	slowest time.Duration // from exec to ready
	size    int64         // bytes of log at that start
}

// folder plays rounds in one data folder.
func (k *killings) folder(t *testing.T, r *rand.Rand, rounds int) {
	t.Helper()
	n := tortured(t, t.TempDir(), busy)
	n.start(t)
	l := newLedger(t, n, 8)
	n.kill()
	for round := range rounds {
		point := failpoints[round%len(failpoints)]
		n.env = nil
		if point != "" {
			n.env = []string{fmt.Sprintf("WEIR_FAILPOINT=%s:%d", point, 1+r.IntN(4))}
		}
		size, begun := folderSize(t, filepath.Join(n.data, "log")), time.Now()
		n.spawn(t)
		up := n.waitReady()
		if took := time.Since(begun); up && took > k.slowest {
			k.slowest, k.size = took, size
		}
		if !up || l.round(t, n, time.Duration(50+r.IntN(500))*time.Millisecond, point != "") {
			k.reached[point]++
		}
		<-n.exited
		if round%10 == 9 || round == rounds-1 {
			n.env = nil
			n.start(t)
			l.mustHold(t, n, fmt.Sprintf("round %d", round+1))
			n.kill()
		}
	}
	k.acked += l.acked.Load()
}

// waitReady tells whether the node became ready before it ended.
func (n *node) waitReady() bool {
	for {
		select {
		case err := <-n.exited:
			n.exited <- err
			return false
		default:
		}
		if _, err := n.get("/readyz"); err == nil {
			return true
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// round sends until the node is dead: killed after some time, or, with a
// failpoint armed, by itself, which it tells; it has three seconds for that.
func (l *ledger) round(t *testing.T, n *node, after time.Duration, armed bool) (byItself bool) {
	stop := make(chan struct{})
	var cut atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() { l.send(t, n, stop, &cut) })
	if armed {
		after = 3 * time.Second
	}
	select {
	case err := <-n.exited:
		n.exited <- err
		byItself = true
	case <-time.After(after):
		_ = n.cmd.Process.Kill()
	}
	close(stop)
	wg.Wait()
	return byItself
}

func folderSize(t *testing.T, dir string) (total int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
	}
	return total
}
