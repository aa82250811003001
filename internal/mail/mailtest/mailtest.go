// Package mailtest is a mail server for tests: a real one, which keeps what it accepts.
package mailtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Server is one. Set the fields before Start; what it does with a letter may be changed while it runs.
type Server struct {
	Implicit bool // TLS from the first byte
	NoTLS    bool // not even STARTTLS
	User     string
	Password string
	Names    []string // of its certificate; none: localhost and 127.0.0.1

	// CAs is its certificate, to be trusted.
	CAs *x509.CertPool
	PEM []byte

	mu       sync.Mutex
	address  string
	verdicts Verdicts
	letters  []Letter
	logins   int
}

// Verdicts are what a server says; nil: yes. Refuse makes a refusal.
type Verdicts struct {
	Mail, Rcpt func(address string) error
	Data       func(Letter) error // before the letter counts as accepted
}

// Letter is what a server accepted.
type Letter struct {
	From, To string
	Data     []byte
	User     string // who logged in
}

// Refuse is an answer such as 550 5.1.1.
func Refuse(code int, class, subject, detail int, message string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{class, subject, detail}, Message: message}
}

// Start listens on a port of 127.0.0.1 until the test ends.
func (s *Server) Start(tb testing.TB) *Server {
	tb.Helper()
	end, err := s.Listen()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(end)
	return s
}

// Listen is Start for who has no test at hand.
func (s *Server) Listen() (end func(), err error) {
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		_, encrypted := c.TLSConnectionState()
		return &session{server: s, encrypted: encrypted || s.NoTLS}, nil
	}))
	server.Domain = "localhost"
	server.AllowInsecureAuth = s.NoTLS
	server.EnableSMTPUTF8 = true
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	server.ErrorLog = log.New(io.Discard, "", 0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if !s.NoTLS {
		names := s.Names
		if names == nil {
			names = []string{"localhost", "127.0.0.1"}
		}
		var certificate tls.Certificate
		if certificate, s.PEM, err = SelfSigned(names); err != nil {
			return nil, err
		}
		s.CAs = x509.NewCertPool()
		s.CAs.AppendCertsFromPEM(s.PEM)
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		if s.Implicit {
			listener = tls.NewListener(listener, server.TLSConfig)
		}
	}
	s.address = listener.Addr().String()
	go server.Serve(listener) //nolint:errcheck // it ends with the test
	return func() { server.Close() }, nil
}

// Port is where it listens, on 127.0.0.1.
func (s *Server) Port() string {
	_, port, _ := net.SplitHostPort(s.address)
	return port
}

// URL is mail.smtp for this server.
func (s *Server) URL() string {
	scheme, user := "smtp://", ""
	if s.Implicit {
		scheme = "smtps://"
	}
	if s.User != "" {
		user = s.User + "@"
	}
	return scheme + user + "localhost:" + s.Port()
}

// Set changes what the server says from now on.
func (s *Server) Set(v Verdicts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verdicts = v
}

// Letters are those that it has accepted.
func (s *Server) Letters() []Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.letters)
}

// Logins counts passwords that were sent, right or wrong.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

type session struct {
	server    *Server
	encrypted bool
	letter    Letter
	user      string
}

func (c *session) AuthMechanisms() []string {
	if c.server.User == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (c *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		c.server.logins++
		if user != c.server.User || password != c.server.Password {
			// As a careless server would.
			return Refuse(535, 5, 7, 8, "wrong password "+password)
		}
		c.user = user
		return nil
	}), nil
}

func (c *session) said(verdict func(Verdicts) error) error {
	c.server.mu.Lock()
	v := c.server.verdicts
	c.server.mu.Unlock()
	return verdict(v)
}

func (c *session) Mail(from string, _ *smtp.MailOptions) error {
	if c.server.User != "" && c.user == "" {
		return Refuse(530, 5, 7, 0, "log in first")
	}
	c.letter = Letter{From: from, User: c.user}
	return c.said(func(v Verdicts) error {
		if v.Mail != nil {
			return v.Mail(from)
		}
		return nil
	})
}

func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.letter.To = to
	return c.said(func(v Verdicts) error {
		if v.Rcpt != nil {
			return v.Rcpt(to)
		}
		return nil
	})
}

func (c *session) Data(r io.Reader) (err error) {
	if c.letter.Data, err = io.ReadAll(r); err != nil {
		return err
	}
	err = c.said(func(v Verdicts) error {
		if v.Data != nil {
			return v.Data(c.letter)
		}
		return nil
	})
	if err == nil {
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		c.server.letters = append(c.server.letters, c.letter)
	}
	return err
}

func (c *session) Reset()        {}
func (c *session) Logout() error { return nil }

// SelfSigned makes a certificate for names, and returns it as PEM, too.
func SelfSigned(names []string) (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "mailtest"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

// Script is a server that says what it is told and nothing else: for what no real one does. step is given each line
// that the client sends, beginning with the empty one before the greeting; the letter itself is given as ".". An answer
// that ends with "!" is said, and then the connection is cut; "…" says nothing and waits.
func Script(tb testing.TB, step func(line string) string) (url string) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	tb.Cleanup(func() { close(ended); listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				script(c, step, ended)
			}()
		}
	}()
	return "smtp://" + listener.Addr().String()
}

func script(c net.Conn, step func(string) string, ended chan struct{}) {
	lines := make(chan string)
	go func() {
		defer close(lines)
		buffer, text, inData := make([]byte, 4096), "", false
		for {
			n, err := c.Read(buffer)
			text += string(buffer[:n])
			for {
				line, rest, found := cutLine(text)
				if !found {
					break
				}
				text = rest
				if inData && line != "." {
					continue
				}
				inData = line == "DATA"
				select {
				case lines <- line:
				case <-ended:
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	say := func(answer string) error {
		if answer == "…" {
			<-ended
			return errors.New("over")
		}
		cut := answer != "" && answer[len(answer)-1] == '!'
		if cut {
			answer = answer[:len(answer)-1]
		}
		if answer != "" {
			if _, err := io.WriteString(c, answer+"\r\n"); err != nil {
				return err
			}
		}
		if cut {
			return errors.New("cut")
		}
		return nil
	}
	if say(step("")) != nil {
		return
	}
	for line := range lines {
		if say(step(line)) != nil {
			return
		}
	}
}

func cutLine(text string) (line, rest string, found bool) {
	for i := range len(text) - 1 {
		if text[i] == '\r' && text[i+1] == '\n' {
			return text[:i], text[i+2:], true
		}
	}
	return "", text, false
}
