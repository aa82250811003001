package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// H-01: whoever sends a byte now and then is cut off within ten seconds, and holds nobody up until then.
func TestH01SlowRequests(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	const post = "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\n"
	var all sync.WaitGroup
	for n := range 200 {
		opening := []string{"GET /healthz HTTP/1.1\r\nX-Slow: ", post}[n%2]
		all.Go(func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			begin := time.Now()
			go func() {
				for _, err := io.WriteString(conn, opening); err == nil; _, err = io.WriteString(conn, "x") {
					time.Sleep(time.Second)
				}
			}()
			_ = conn.SetReadDeadline(begin.Add(10 * time.Second))
			if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%.20q is open after ten seconds", opening)
			}
		})
	}
	for range 20 {
		begin := time.Now()
		if status, took := p.status("/.well-known/jwks.json"), time.Since(begin); status != http.StatusOK || took > 2*time.Second {
			t.Errorf("meanwhile others get %d after %s", status, took)
		}
		time.Sleep(50 * time.Millisecond)
	}
	all.Wait()
}

// H-03: what two readers could take for different requests is refused, or read as one. The request that is
// hidden in it is never answered.
func TestH03NoRequestInsideAnother(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	const (
		get    = "GET /healthz HTTP/1.1\r\nHost: x\r\n"
		hidden = get + "\r\n"
		post   = "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
		chunks = "Transfer-Encoding: chunked\r\n"
	)
	for _, row := range []struct {
		name, request string
		status        string // the beginning of it; empty: whatever, but once
		stays         bool   // the connection may be used again
	}{
		{"two lengths", post + "Content-Length: 3\r\nContent-Length: 40\r\n\r\nabc" + hidden, "400", false},
		{"a list of lengths", post + "Content-Length: 3, 40\r\n\r\nabc" + hidden, "400", false},
		{"a length with a sign", post + "Content-Length: +3\r\n\r\nabc" + hidden, "400", false},
		{"a length in hexadecimal", post + "Content-Length: 0x3\r\n\r\nabc" + hidden, "400", false},
		{"a space before the colon", post + "Content-Length : 40\r\n\r\n" + hidden, "400", false},
		{"a chunk's extension of 1 MiB", post + chunks + "\r\n3;" + strings.Repeat("x", 1<<20) + "\r\nabc\r\n0\r\n\r\n" + hidden, "400", false},
		{"chunks between bare line feeds", post + chunks + "\r\n3\nabc\n0\n\n" + hidden, "400", false},
		{"a coding that nobody knows", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden, "501", false},
		{"two codings", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + hidden, "501", false},
		{"one coding twice", post + chunks + chunks + "\r\n0\r\n\r\n" + hidden, "501", false},
		{"chunks and a length that spans the next request", post + chunks + fmt.Sprintf("Content-Length: %d\r\n\r\n0\r\n\r\n", 5+len(hidden)) + hidden, "400", false},
		{"chunks and their very length", post + chunks + "Content-Length: 5\r\n\r\n0\r\n\r\n" + hidden, "400", false},
		{"one length twice", post + fmt.Sprintf("Content-Length: %d\r\nContent-Length: %[1]d\r\n\r\n", len(hidden)) + hidden, "400", true},
		{"bare line feeds", "GET /healthz HTTP/1.1\nHost: x\n\n", "", true},
		{"a bare carriage return", "GET /healthz HTTP/1.1\rHost: x\r\n\r\n" + hidden, "400", false},
		{"a folded header", get + "X-Folded: x\r\n Content-Length: 40\r\n\r\n", "", true},
		{"two hosts", get + "Host: y\r\n\r\n" + hidden, "400", false},
		{"no host", "GET /healthz HTTP/1.1\r\n\r\n" + hidden, "400", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go func() { _, _ = io.WriteString(conn, row.request) }() // 1 MiB is not read to its end
			_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
			got, err := io.ReadAll(conn)
			if open := errors.Is(err, os.ErrDeadlineExceeded); open && !row.stays {
				t.Error("the connection stays open")
			}
			if n := bytes.Count(got, []byte("HTTP/1.1 ")); n != 1 || !strings.HasPrefix(string(got), "HTTP/1.1 "+row.status) {
				t.Errorf("%d answers, want one of %s:\n%s", n, row.status, got)
			}
		})
	}
}

// H-04: a header without an end and pings without an end cost their connection. Streams that are reset as fast as they
// are opened, and settings, are taken no faster than they are dealt with: net/http works at a few streams of a connection
// at a time and answers settings together. Nobody else is held up by any of them.
func TestH04FloodsOfFrames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate(t, dir, "localhost")
	p := start(t, nil, "SIGNET_ISSUER=https://localhost",
		"SIGNET_HTTP_TLS_CERT="+filepath.Join(dir, "cert.pem"), "SIGNET_HTTP_TLS_KEY="+filepath.Join(dir, "key.pem"))
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":path", "/v1/profile"}, {":authority", "localhost"}} {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		name   string
		closed bool
		flood  func(f *http2.Framer, n uint32) error
	}{
		{"rapid reset", false, func(f *http2.Framer, n uint32) error {
			id := 2*n + 1
			err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
			return errors.Join(err, f.WriteRSTStream(id, http2.ErrCodeCancel))
		}},
		{"a header without an end", true, func(f *http2.Framer, n uint32) error {
			if n == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes()})
			}
			return f.WriteContinuation(1, false, bytes.Repeat([]byte{0x00, 0x01, 'x', 0x01, 'y'}, 1000))
		}},
		{"settings", false, func(f *http2.Framer, _ uint32) error { return f.WriteSettings() }},
		{"pings", true, func(f *http2.Framer, _ uint32) error { return f.WritePing(false, [8]byte{}) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			conn, err := tls.Dial("tcp", strings.TrimPrefix(p.base, "https://"), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
			flooded := make(chan error, 1)
			go func() {
				f := http2.NewFramer(conn, nil) // which reads nothing: what the server answers piles up
				_, err := io.WriteString(conn, http2.ClientPreface)
				err = errors.Join(err, f.WriteSettings())
				for n := uint32(0); err == nil; n++ {
					err = row.flood(f, n)
				}
				flooded <- err
			}()
			for range 5 {
				begin := time.Now()
				if status, took := p.status("/.well-known/jwks.json"), time.Since(begin); status != http.StatusOK || took > 2*time.Second {
					t.Errorf("meanwhile others get %d after %s", status, took)
				}
			}
			if err := <-flooded; row.closed && errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the connection is still taken: %v", err)
			}
		})
	}
	if mib := p.memory(t, "VmHWM"); mib > 200 {
		t.Errorf("the server took %.0f MiB at its most", mib)
	}
}

// H-15: what TLS is on is served by TLS 1.2 and later only, with ciphers that are not broken.
func TestH15NothingWeakAndNothingPlain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate(t, dir, "localhost")
	p := start(t, nil, "SIGNET_ISSUER=https://localhost",
		"SIGNET_HTTP_TLS_CERT="+filepath.Join(dir, "cert.pem"), "SIGNET_HTTP_TLS_KEY="+filepath.Join(dir, "key.pem"))
	address := strings.TrimPrefix(p.base, "https://")
	var weak []uint16
	for _, suite := range tls.InsecureCipherSuites() {
		weak = append(weak, suite.ID)
	}
	for name, c := range map[string]*tls.Config{
		"TLS 1.0":            {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10},
		"TLS 1.1":            {MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11},
		"weak cipher suites": {MaxVersion: tls.VersionTLS12, CipherSuites: weak},
	} {
		c.InsecureSkipVerify = true
		if conn, err := tls.Dial("tcp", address, c); err == nil {
			t.Errorf("%s is accepted: %s", name, tls.CipherSuiteName(conn.ConnectionState().CipherSuite))
			conn.Close()
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		req, err := http.NewRequest(method, "http://"+address+"/login", strings.NewReader("password=x"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest || resp.Header.Get("Location") != "" {
			t.Errorf("plain %s: %s", method, resp.Status)
		}
	}
}
