package mqtt311_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weir-iot/weir/internal/mqtt311"
)

// A packet is any packet in a form that prints as JSON.
type packet struct {
	Type        string
	Connect     *mqtt311.Connect       `json:",omitempty"`
	Connack     *mqtt311.Connack       `json:",omitempty"`
	Publish     *mqtt311.Publish       `json:",omitempty"`
	Subscribe   []mqtt311.Subscription `json:",omitempty"`
	Suback      *mqtt311.Suback        `json:",omitempty"`
	Unsubscribe []string               `json:",omitempty"`
	ID          uint16                 `json:",omitempty"`

	h mqtt311.Header
}

var errIncomplete = errors.New("incomplete")

func decode(frame []byte) (packet, error) {
	h, n, err := mqtt311.ParseHeader(frame)
	if err != nil {
		return packet{}, err
	}
	if n == 0 || len(frame) < n+h.Length {
		return packet{}, errIncomplete
	}
	p := packet{Type: h.Type.String(), h: h}
	body := frame[n : n+h.Length]
	switch h.Type {
	case mqtt311.CONNECT:
		v, err := mqtt311.ParseConnect(body)
		p.Connect = &v
		return p, err
	case mqtt311.CONNACK:
		v, err := mqtt311.ParseConnack(body)
		p.Connack = &v
		return p, err
	case mqtt311.PUBLISH:
		v, err := mqtt311.ParsePublish(h.Flags, body)
		p.Publish = &v
		return p, err
	case mqtt311.PUBACK:
		p.ID, err = mqtt311.ParsePuback(body)
	case mqtt311.SUBSCRIBE:
		v, err := mqtt311.ParseSubscribe(body)
		p.ID, p.Subscribe = v.ID, slices.Collect(v.Subscriptions())
		return p, err
	case mqtt311.SUBACK:
		v, err := mqtt311.ParseSuback(body)
		p.Suback = &v
		return p, err
	case mqtt311.UNSUBSCRIBE:
		v, err := mqtt311.ParseUnsubscribe(body)
		p.ID, p.Unsubscribe = v.ID, slices.Collect(v.Filters())
		return p, err
	case mqtt311.UNSUBACK:
		p.ID, err = mqtt311.ParseUnsuback(body)
	case mqtt311.PINGREQ, mqtt311.PINGRESP, mqtt311.DISCONNECT:
		err = mqtt311.CheckEmpty(body)
	default:
		err = errors.New("no codec")
	}
	return p, err
}

func encode(p packet) []byte {
	switch p.h.Type {
	case mqtt311.CONNECT:
		return mqtt311.AppendConnect(nil, p.Connect)
	case mqtt311.CONNACK:
		return mqtt311.AppendConnack(nil, *p.Connack)
	case mqtt311.PUBLISH:
		return mqtt311.AppendPublish(nil, p.Publish)
	case mqtt311.PUBACK:
		return mqtt311.AppendPuback(nil, p.ID)
	case mqtt311.SUBSCRIBE:
		return mqtt311.AppendSubscribe(nil, p.ID, p.Subscribe...)
	case mqtt311.SUBACK:
		return mqtt311.AppendSuback(nil, *p.Suback)
	case mqtt311.UNSUBSCRIBE:
		return mqtt311.AppendUnsubscribe(nil, p.ID, p.Unsubscribe...)
	case mqtt311.UNSUBACK:
		return mqtt311.AppendUnsuback(nil, p.ID)
	case mqtt311.PINGREQ:
		return mqtt311.AppendPingreq(nil)
	case mqtt311.PINGRESP:
		return mqtt311.AppendPingresp(nil)
	case mqtt311.DISCONNECT:
		return mqtt311.AppendDisconnect(nil)
	}
	return nil
}

// A recording is a frame of another implementation with what it means.
type recording struct {
	where string
	frame []byte
	json  string
}

func recordings(tb testing.TB) []recording {
	files, err := filepath.Glob("testdata/*.hex")
	if err != nil || len(files) == 0 {
		tb.Fatal("no recordings", err)
	}
	var all []recording
	for _, name := range files {
		f, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		line := 0
		var frame []byte
		for s := bufio.NewScanner(bytes.NewReader(f)); s.Scan(); {
			line++
			switch text := s.Text(); {
			case text == "" || strings.HasPrefix(text, "#"):
			case strings.HasPrefix(text, "{"):
				all = append(all, recording{fmt.Sprintf("%s:%d", name, line), frame, text})
			default:
				if frame, err = hex.DecodeString(text); err != nil {
					tb.Fatalf("%s:%d: %v", name, line, err)
				}
			}
		}
	}
	return all
}

func TestRecordings(t *testing.T) {
	for _, r := range recordings(t) {
		p, err := decode(r.frame)
		if err != nil {
			t.Errorf("%s: %v", r.where, err)
			continue
		}
		got, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != r.json {
			t.Errorf("%s: parsed as\n%s, want\n%s", r.where, got, r.json)
		}
		if b := encode(p); !bytes.Equal(b, r.frame) {
			t.Errorf("%s: encoded again as\n%x, want\n%x", r.where, b, r.frame)
		}
	}
}

// A frame that is not whole is never taken for one, nor for a broken one.
func TestIncremental(t *testing.T) {
	for _, r := range recordings(t) {
		for n := range len(r.frame) {
			if _, err := decode(r.frame[:n]); err != errIncomplete {
				t.Errorf("%s: the first %d of %d bytes: %v", r.where, n, len(r.frame), err)
			}
		}
	}
}

// A body that stops early or late is refused, whatever its fields say.
func TestTruncatedBody(t *testing.T) {
	for _, r := range recordings(t) {
		h, n, err := mqtt311.ParseHeader(r.frame)
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range [][]byte{r.frame[n : n+max(h.Length-1, 0)], append(bytes.Clone(r.frame[n:]), 0)} {
			open := h.Type == mqtt311.PUBLISH || h.Type == mqtt311.SUBACK // their last field has no length of its own
			if open || len(body) == h.Length {
				continue
			}
			h.Length = len(body)
			frame := append(mqtt311.AppendHeader(nil, h), body...)
			if _, err := decode(frame); !errors.Is(err, mqtt311.ErrMalformed) {
				t.Errorf("%s: body %x: %v", r.where, body, err)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct{ name, frame string }{
		{"reserved type 0", "0000"},
		{"reserved type 15", "f000"},
		{"flags of CONNECT", "1100"},
		{"flags of PUBACK", "41020001"},
		{"flags of SUBSCRIBE", "8000"},
		{"flags of UNSUBSCRIBE", "a300"},
		{"flags of PINGREQ", "c100"},
		{"length of five bytes", "30ffffffff01"},
		{"PINGREQ with a body", "c00100"},
		{"QoS 3", "36050001740001"},
		{"identifier 0", "3205000174" + "0000"},
		{"PUBLISH without identifier", "3203000174"},
		{"PUBLISH with an empty topic", "30020000"},
		{"topic over the end", "3003000574"},
		{"topic with U+0000", "3003000100"},
		{"topic not UTF-8", "30030001ff"},
		{"topic with a surrogate", "30050003eda080"},
		{"topic with an overlong form", "30040002c0af"},
		{"PUBACK of 0", "40020000"},
		{"PUBACK with three bytes", "4003000100"},
		{"SUBSCRIBE without filters", "82020001"},
		{"SUBSCRIBE with an empty filter", "82050001000001"},
		{"SUBSCRIBE with QoS 3", "8206000100017403"},
		{"SUBSCRIBE without QoS", "82050001000174"},
		{"UNSUBSCRIBE without filters", "a2020001"},
		{"UNSUBSCRIBE with an empty filter", "a20400010000"},
		{"SUBACK with a reserved code", "9003000103"},
		{"CONNACK with reserved flags", "20020200"},
		{"CONNECT with the reserved flag", "100c00044d5154540403000a0000"},
		{"CONNECT with will QoS and no will", "100c00044d515454040a000a0000"},
		{"CONNECT with will retain and no will", "100c00044d5154540422000a0000"},
		{"CONNECT with will QoS 3", "101200044d515454041e000a0000" + "00017400" + "0178"},
		{"CONNECT with an empty will topic", "101100044d5154540406000a0000" + "0000" + "000178"},
		{"CONNECT with a password alone", "100f00044d5154540442000a0000" + "000178"},
		{"CONNECT with more", "100d00044d5154540402000a000000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			frame, err := hex.DecodeString(tt.frame)
			if err != nil {
				t.Fatal(err)
			}
			if p, err := decode(frame); !errors.Is(err, mqtt311.ErrMalformed) {
				t.Errorf("%v, %+v", err, p)
			}
		})
	}
}

func TestOtherProtocols(t *testing.T) {
	for _, tt := range []struct{ name, body string }{
		{"MQTT 3.1", "00064d51497364700302000a0000"},
		{"MQTT 5", "00044d5154540502000a000000"},
		{"another name, level 4", "00044d5154580402000a0000"},
	} {
		body, err := hex.DecodeString(tt.body)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mqtt311.ParseConnect(body); !errors.Is(err, mqtt311.ErrProtocol) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func FuzzPacket(f *testing.F) {
	for _, r := range recordings(f) {
		f.Add(r.frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		p, err := decode(frame)
		if err != nil {
			return
		}
		again := encode(p)
		h, n, err := mqtt311.ParseHeader(again)
		if err != nil || h != p.h {
			t.Fatalf("header %+v became %+v: %v", p.h, h, err)
		}
		// The length may have been padded: bodies must be equal, frames need not.
		_, m, _ := mqtt311.ParseHeader(frame)
		if p.Publish != nil && p.Publish.QoS == 0 && p.Publish.Dup {
			return // DUP without QoS is refused by nobody
		}
		if !bytes.Equal(again[n:], frame[m:m+h.Length]) {
			t.Fatalf("%x became %x", frame, again)
		}
	})
}

func BenchmarkParsePublish(b *testing.B) {
	p := mqtt311.Publish{Topic: "devices/d1/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8", Payload: make([]byte, 150), QoS: 1, ID: 1}
	frame := mqtt311.AppendPublish(nil, &p)
	b.ReportAllocs()
	for b.Loop() {
		h, n, err := mqtt311.ParseHeader(frame)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := mqtt311.ParsePublish(h.Flags, frame[n:n+h.Length]); err != nil {
			b.Fatal(err)
		}
	}
}
