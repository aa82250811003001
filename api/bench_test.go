//go:build unix

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
	"github.com/signet-id/signet/internal/cputime"
)

// BenchmarkJWKS compares the key set over real connections with bare gorilla/mux handlers behind
// the same server, asked in turn with it so that whatever else the machine does meets all. ratio is
// against one that writes the same bytes, headers included, and nothing else (the aim: 0.95);
// ratio-naked against one that writes only type and body. The ratios with -cpu are the same by the
// time of the cores, the asking included.
func BenchmarkJWKS(b *testing.B) {
	ours := served(b)
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
	took, cost := make([][]float64, len(wires)), make([][]float64, len(wires)) // of each batch, per request
	const batch = 50
	for b.Loop() {
		for i, c := range wires {
			began, before := time.Now(), cputime.Spent(b)
			for range batch {
				if err := c.get(); err != nil {
					b.Fatal(err)
				}
			}
			took[i] = append(took[i], float64(time.Since(began).Nanoseconds())/batch)
			cost[i] = append(cost[i], float64((cputime.Spent(b)-before).Nanoseconds())/batch)
		}
	}
	b.ReportMetric(median(took[1])/median(took[0]), "ratio")
	b.ReportMetric(median(took[2])/median(took[0]), "ratio-naked")
	b.ReportMetric(median(cost[1])/median(cost[0]), "ratio-cpu")
	b.ReportMetric(median(cost[2])/median(cost[0]), "ratio-naked-cpu")
	b.ReportMetric(median(took[0]), "ns/request")
}

// served is the handler of a server that logs and counts as one that runs.
func served(b *testing.B) http.Handler {
	s := apitest.New(b, apitest.Options{Configure: func(r *apitest.Replica) {
		r.API.Log = slog.New(slog.NewJSONHandler(io.Discard, nil))
		r.API.Metrics = countNothing{}
		r.API.Now = time.Now
	}})
	return s.Replicas[0].HTTP.Config.Handler
}

// median: a batch that met a garbage collection or a busy neighbour says nothing.
func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// BenchmarkPipeline measures what the pipeline costs each kind of request, without connections and
// without a store: a document, an answer that is nothing but the pipeline's, a request that no
// route matches, and the last of the routes.
func BenchmarkPipeline(b *testing.B) {
	handler := served(b)
	for _, row := range []struct {
		name, method, path string
		status             int
	}{
		{"key set", "GET", "/.well-known/jwks.json", 200},
		{"refusal", "GET", "/oauth2/userinfo", 401},
		{"no route", "GET", "/nothing", 404},
		{"last route", "GET", "/v1/admin/audit", 401},
	} {
		b.Run(row.name, func(b *testing.B) {
			r := httptest.NewRequest(row.method, row.path, nil)
			w := &discarded{header: http.Header{}}
			cputime.Loop(b, func() {
				clear(w.header)
				handler.ServeHTTP(w, r)
			})
			if w.status != row.status {
				b.Errorf("answered %d", w.status)
			}
		})
	}
}

// discarded is an answer that nobody reads.
type discarded struct {
	header http.Header
	status int
}

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) WriteHeader(status int)      { d.status = status }
func (d *discarded) Write(b []byte) (int, error) { return len(b), nil }

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
