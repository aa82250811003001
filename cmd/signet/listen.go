package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/signet-id/signet/configs"
)

// Limits of the public listener. They limit what one stranger can hold open. No legitimate request
// takes nearly as long or is nearly as large.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 9 * time.Second  // header and body; a body has at most 64 KiB
	writeTimeout      = 30 * time.Second // from the end of the header; includes the wait for a password slot
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10 // twice the longest token
)

// drainShutdown is how long running requests may take after http.drain_notice.
const drainShutdown = 10 * time.Second

// listen opens the public listener.
func listen(c configs.Config) (net.Listener, error) {
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, listenError("listen", c.Listen, err)
	}
	return limitConnections(l), nil
}

// localURL returns the URL of the listener for users of this machine.
func localURL(c configs.Config, bound net.Addr) string {
	host, port, err := net.SplitHostPort(bound.String())
	if err != nil {
		return c.IssuerURL("")
	}
	if ip, err := netip.ParseAddr(host); err == nil && (ip.IsUnspecified() || ip.IsLoopback() && ip.Is4()) {
		host = "localhost"
	}
	scheme := "http"
	if c.HTTP.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// onThisMachine reports whether an address to listen on is reached from this machine alone. A name is
// not looked up, apart from localhost: what it stands for can change.
func onThisMachine(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func loopback(bound net.Addr) bool {
	addr, err := netip.ParseAddrPort(bound.String())
	return err == nil && addr.Addr().IsLoopback()
}

// publicServer is the public listener's http.Server with the state that drain needs.
type publicServer struct {
	http     *http.Server
	draining atomic.Bool
	open     atomic.Int64 // connections
	tls      bool
	tlsCheck time.Duration // how often the certificate's files are checked for changes
}

func newPublicServer(h http.Handler, log *slog.Logger) *publicServer {
	p := &publicServer{tlsCheck: 30 * time.Second}
	p.http = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// A request may have both a Content-Length and a Transfer-Encoding. A proxy that
			// believes the length sees another next request than we do (request smuggling). RFC
			// 9112 section 6.1 demands that the connection is closed after the answer. net/http
			// does not close it, and hides the length. So every request with a Transfer-Encoding is
			// the last one of its connection.
			if p.draining.Load() || len(r.TransferEncoding) > 0 {
				w.Header().Set("Connection", "close") // HTTP/2 turns this into a GOAWAY
			}
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout:            readHeaderTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true,                                              // "OPTIONS *" gets our answer and our headers
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug), // strangers' broken handshakes
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				p.open.Add(1)
			case http.StateClosed, http.StateHijacked:
				p.open.Add(-1)
			}
		},
	}
	return p
}

func (p *publicServer) serve(l net.Listener) error {
	var err error
	if p.tls {
		err = p.http.ServeTLS(l, "", "")
	} else {
		err = p.http.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// drain stops the server without losing a request. The caller has made /readyz answer no.
//
// During notice the server still accepts connections, because a balancer sends requests until its
// next probe. Every answer asks for its connection to be closed, so that clients which keep
// connections alive leave by themselves. Only then the listener closes and idle connections are
// cut: a connection that was cut while it sends a request would lose that request.
//
// atTerminal says that a person has pressed Ctrl-C: the notice ends as soon as no connection is
// open.
func (p *publicServer) drain(notice time.Duration, atTerminal bool, log *slog.Logger) {
	log.Info("stopping", "connections", p.open.Load(), "notice", notice.String())
	p.draining.Store(true)
	start := time.Now()
	for time.Since(start) < notice && !(atTerminal && p.open.Load() == 0) {
		time.Sleep(20 * time.Millisecond)
	}
	// The kernel resets connections that wait to be accepted when the listener closes. A moment
	// without open connections is likely one without waiting connections.
	p.awaitNone(closingMoment)
	ctx, cancel := context.WithTimeout(context.Background(), drainShutdown)
	defer cancel()
	if err := p.http.Shutdown(ctx); err != nil {
		p.http.Close()
		log.Warn("stopped before every request was finished", "connections", p.open.Load(), "after", time.Since(start).Round(time.Millisecond))
		return
	}
	// Shutdown does not see a connection that was accepted just before the listener closed.
	time.Sleep(acceptedLast)
	p.awaitNone(closingMoment)
	log.Info("stopped", "after", time.Since(start).Round(time.Millisecond))
}

const (
	closingMoment = time.Second
	acceptedLast  = 20 * time.Millisecond
)

// awaitNone waits until no connection is open, for at most limit.
func (p *publicServer) awaitNone(limit time.Duration) {
	for start := time.Now(); p.open.Load() > 0 && time.Since(start) < limit; {
		time.Sleep(time.Millisecond)
	}
}

// useTLS loads the certificate, if one is configured, and reloads it when its files change.
func (p *publicServer) useTLS(ctx context.Context, running *sync.WaitGroup, c configs.Config, log *slog.Logger) error {
	if c.HTTP.TLSCert == "" {
		return nil
	}
	stamp := certificateStamp(c) // before the files are read, so that later changes are noticed
	cert, err := loadCertificate(c)
	if err != nil {
		return err
	}
	var current atomic.Pointer[tls.Certificate]
	current.Store(cert)
	p.tls = true
	p.http.TLSConfig = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil },
	}
	running.Go(func() {
		tick := time.NewTicker(p.tlsCheck)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			now := certificateStamp(c)
			if now == stamp {
				continue
			}
			// The two files may be in the middle of being replaced. Until they belong together the
			// old certificate stays, and so does the stamp, so that the next check tries again.
			cert, err := loadCertificate(c)
			if err != nil {
				log.Warn("the renewed certificate cannot be used; the old one stays", "error", err)
				continue
			}
			current.Store(cert)
			stamp = now
			log.Info("certificate renewed", "not_after", cert.Leaf.NotAfter.UTC())
		}
	})
	return nil
}

func loadCertificate(c configs.Config) (*tls.Certificate, error) {
	chain, err := configs.ReadSmallFile(c.HTTP.TLSCert)
	if err != nil {
		return nil, fmt.Errorf("http.tls_cert, %s, cannot be read: %s", c.HTTP.TLSCert, configs.FileReason(err))
	}
	key, err := configs.ReadSmallFile(c.HTTP.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("http.tls_key, %s, cannot be read: %s", c.HTTP.TLSKey, configs.FileReason(err))
	}
	cert, err := tls.X509KeyPair(plainPEM(chain), plainPEM(key))
	if err != nil {
		return nil, fmt.Errorf("http.tls_cert, %s, and http.tls_key, %s, are no certificate chain and its private key in PEM (%s); give the two files that belong together",
			c.HTTP.TLSCert, c.HTTP.TLSKey, strings.TrimPrefix(systemReason(err), "tls: "))
	}
	return &cert, nil
}

// certificateStamp returns a text that changes when one of the files changes.
func certificateStamp(c configs.Config) string {
	stamp := ""
	for _, path := range []string{c.HTTP.TLSCert, c.HTTP.TLSKey} {
		if info, err := os.Stat(path); err == nil {
			stamp += fmt.Sprint(info.ModTime().UnixNano(), info.Size(), " ")
		}
	}
	return stamp
}

// reservedFiles are kept for the store, the log, metrics and the odd file.
const reservedFiles = 40

// limitConnections returns a listener that accepts only as many connections as file descriptors
// allow, apart from the server's own. The rest wait in the kernel's queue until a connection
// closes.
func limitConnections(l net.Listener) net.Listener {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return l
	}
	n := max(8, int64(min(limit.Cur, 1<<20))-reservedFiles)
	return &limitedListener{Listener: l, slots: make(chan struct{}, n), closed: make(chan struct{})}
}

type limitedListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, release: func() { <-l.slots }}, nil
}

func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	once    sync.Once
	release func()
}

// CloseWrite lets net/http end an answer to a request whose body it did not read
// without a reset that would destroy the answer.
func (c *limitedConn) CloseWrite() error {
	if tcp, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return tcp.CloseWrite()
	}
	return nil
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.release)
	return err
}
