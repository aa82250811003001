//go:build unix

package protocol_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/cputime"
)

// load is a number of connections to one server.
type load struct {
	conns   []net.Conn
	readers []*bufio.Reader
	request func(n int) []byte       // the next of connection n, as it is sent
	answer  func(n int, body []byte) // nil: answers are thrown away
}

func newLoad(b *testing.B, h http.Handler, connections int, request func(int) []byte, answer func(int, []byte)) *load {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(l) }()
	b.Cleanup(func() { _ = server.Close() })
	out := &load{request: request, answer: answer}
	for range connections {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		out.conns, out.readers = append(out.conns, conn), append(out.readers, bufio.NewReaderSize(conn, 4<<10))
	}
	return out
}

// outcome is what a turn of a load came to.
type outcome struct {
	rate float64 // answers in a second
	p99  float64 // 99th percentile of the answers' times, in ms
	cpu  float64 // of this process for one answer, in µs
}

// run asks over all connections for d.
func (l *load) run(b *testing.B, d time.Duration) outcome {
	var group sync.WaitGroup
	var total atomic.Int64
	took := make([][]float64, len(l.conns))
	began, spent := time.Now(), cputime.Spent(b)
	for n := range l.conns {
		group.Go(func() {
			for time.Since(began) < d {
				asked := time.Now()
				if err := l.ask(n); err != nil {
					b.Error(err)
					return
				}
				took[n] = append(took[n], float64(time.Since(asked).Microseconds())/1000)
				total.Add(1)
			}
		})
	}
	group.Wait()
	answers := float64(total.Load())
	all := slices.Concat(took...)
	slices.Sort(all)
	return outcome{
		rate: answers / time.Since(began).Seconds(), p99: all[len(all)*99/100],
		cpu: float64((cputime.Spent(b) - spent).Nanoseconds()) / 1000 / answers,
	}
}

// ask sends the request and reads the answer, with as little work as possible.
func (l *load) ask(n int) error {
	if _, err := l.conns[n].Write(l.request(n)); err != nil {
		return err
	}
	r := l.readers[n]
	length := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !strings.HasPrefix(string(line), "HTTP/1.1 200") {
			return fmt.Errorf("answered %s", line)
		}
		if len(line) == 2 {
			break
		}
		const name = "Content-Length: "
		if len(line) > len(name) && string(line[:len(name)]) == name {
			length = 0
			for _, c := range line[len(name) : len(line)-2] {
				length = length*10 + int(c-'0')
			}
		}
	}
	if l.answer == nil {
		_, err := r.Discard(length)
		return err
	}
	body, err := r.Peek(length)
	if err != nil {
		return err
	}
	l.answer(n, body)
	_, err = r.Discard(length)
	return err
}
