package main

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// idle opens connections that say nothing.
func idle(ctx context.Context, s *settings, d *dialer) (*result, error) {
	if s.pid == 0 {
		return nil, errors.New("-mode idle measures the server's memory: name it with -pid")
	}
	before, err := rss(s.pid)
	if err != nil {
		return nil, err
	}
	cpu, err := cpuTime(s.pid)
	if err != nil {
		return nil, err
	}
	conns, err := all(s.conns, func(i int) (net.Conn, error) { return d.connect(ctx, i) })
	defer closeAll(conns)
	if err != nil {
		return nil, err
	}
	used, err := cpuTime(s.pid)
	if err != nil {
		return nil, err
	}
	sleep(ctx, s.warmup+s.duration)
	after, err := rss(s.pid)
	if err != nil {
		return nil, err
	}
	r := &result{Mode: s.mode, TLS: s.tls, Conns: s.conns, RSSBefore: before, RSS: after, PerConn: float64(after-before) / float64(s.conns)}
	if used > cpu {
		r.ConnectCPU = float64(s.conns) / (used - cpu).Seconds()
	}
	return r, nil
}

// announce256MB is a CONNECT's fixed header with the largest length there is.
var announce256MB = []byte{0x10, 0xff, 0xff, 0xff, 0x7f}

// halfOpen opens connections that announce a giant packet and send a part of
// it. Servers may refuse them at any point: that is no error.
func halfOpen(ctx context.Context, s *settings, d *dialer) (*result, error) {
	if s.pid == 0 {
		return nil, errors.New("-mode halfopen measures the server's memory: name it with -pid")
	}
	before, err := rss(s.pid)
	if err != nil {
		return nil, err
	}
	stop := watchRSS(s.pid)
	part := append(announce256MB, make([]byte, 16<<10)...)
	conns, _ := all(s.conns, func(int) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		conn, err := d.open(ctx)
		if err != nil {
			return nil, err
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write(part)
		return conn, nil
	})
	defer closeAll(conns)
	sleep(ctx, s.duration)
	r := &result{Mode: s.mode, TLS: s.tls, Conns: s.conns, RSSBefore: before, RSS: stop()}
	for _, c := range conns {
		if c != nil && alive(c) {
			r.Open++
		}
	}
	return r, nil
}

// alive reports whether the server still holds a connection that has nothing to read.
func alive(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	var b [1]byte
	_, err := c.Read(b[:])
	return errors.Is(err, os.ErrDeadlineExceeded)
}
