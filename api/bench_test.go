package api_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"github.com/signet-id/signet/api/apitest"
)

// BenchmarkJWKS compares the key set over real connections with bare gorilla/mux
// handlers behind the same server, asked in turn with it so that whatever else the machine does
// meets all. ratio is against one that writes the same bytes, headers included, and nothing else
// (the aim: at least 0.9); ratio-naked against one that writes only type and body.
func BenchmarkJWKS(b *testing.B) {
	s := apitest.New(b, apitest.Options{Configure: func(r *apitest.Replica) {
		r.API.Log = slog.New(slog.NewJSONHandler(io.Discard, nil)) // info, as served
		r.API.Metrics = countNothing{}
		r.API.Now = time.Now
	}})
	ours := s.Replicas[0].HTTP.Config.Handler
	w := httptest.NewRecorder()
	ours.ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/jwks.json", nil))
	body, header := w.Body.Bytes(), w.Header().Clone()
	wires := []*wire{
		listen(b, ours),
		listen(b, bare(func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			for name, values := range header {
				h[name] = values
			}
			_, _ = w.Write(body)
		})),
		listen(b, bare(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/jwk-set+json")
			_, _ = w.Write(body)
		})),
	}
	took := make([][]float64, len(wires)) // of each batch, per request
	const batch = 50
	for b.Loop() {
		for i, c := range wires {
			began := time.Now()
			for range batch {
				if err := c.get(); err != nil {
					b.Fatal(err)
				}
			}
			took[i] = append(took[i], float64(time.Since(began).Nanoseconds())/batch)
		}
	}
	// Medians: a batch that met a garbage collection or a busy neighbour says nothing.
	for i := range took {
		slices.Sort(took[i])
		took[i][0] = took[i][len(took[i])/2]
	}
	b.ReportMetric(took[1][0]/took[0][0], "ratio")
	b.ReportMetric(took[2][0]/took[0][0], "ratio-naked")
	b.ReportMetric(took[0][0], "ns/request")
}

func bare(h http.HandlerFunc) http.Handler {
	r := mux.NewRouter()
	r.HandleFunc("/.well-known/jwks.json", h)
	return r
}

type countNothing struct{}

func (countNothing) Request(string, string, int, time.Duration) {}

// wire is one connection that asks for the key set and reads the answer with as
// little work as possible, so that the server is what is measured.
type wire struct {
	net.Conn
	buffer []byte
}

func listen(b *testing.B, h http.Handler) *wire {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(l) }()
	b.Cleanup(func() { _ = server.Close() })
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	return &wire{conn, make([]byte, 16<<10)}
}

var jwksRequest = []byte(
	"GET /.well-known/jwks.json HTTP/1.1\r\nHost: id.test\r\nUser-Agent: bench\r\nAccept-Encoding: gzip\r\n\r\n")

func (c *wire) get() error {
	if _, err := c.Write(jwksRequest); err != nil {
		return err
	}
	n := 0
	for {
		m, err := c.Read(c.buffer[n:])
		if err != nil {
			return err
		}
		n += m
		if bytes.HasSuffix(c.buffer[:n], []byte("]}")) {
			break
		}
	}
	if !bytes.HasPrefix(c.buffer, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("%.100q", c.buffer[:n])
	}
	return nil
}
