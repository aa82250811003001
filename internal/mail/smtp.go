package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/signet-id/signet/internal/printable"
)

// Way delivers letters.
type Way interface {
	// Send delivers a letter before ctx ends. answer is the receiver's answer. An error is a
	// *Fault.
	Send(ctx context.Context, l Letter) (answer string, err error)
}

// Fault is the reason why a letter was not accepted.
type Fault struct {
	Final  bool   // the letter will never be accepted, so it is not tried again
	Server bool   // the server could not be used, whatever the letter
	Reason string // may be stored: without content of the letter or a password
	Answer string // the answer of the server, which may quote the letter
}

func (f *Fault) Error() string {
	if f.Answer != "" {
		return f.Answer
	}
	return f.Reason
}

// SMTP sends letters to a mail server. Make one by ParseSMTP.
type SMTP struct {
	Password string
	Helo     string         // the host name by which this client introduces itself
	CAs      *x509.CertPool // nil: the system's

	address  string // host:port
	host     string
	user     string
	implicit bool // TLS from the first byte
	loopback bool // TLS is not required
}

// ParseSMTP reads smtps://user@host:465 or smtp://user@host:587. The user and the port may be left
// out.
func ParseSMTP(text string) (*SMTP, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || u.Opaque != "" {
		// The text is not quoted: it may hold a password.
		return nil, errors.New("is not the URL of a mail server; write one such as " +
			"smtps://user@mail.example.com:465 or smtp://user@mail.example.com:587")
	}
	if _, has := u.User.Password(); has {
		return nil, errors.New("holds a password; give it as mail.password or mail.password_file")
	}
	if strings.Trim(u.Path, "/") != "" || strings.ContainsAny(text, "?#") {
		return nil, errors.New("has a path, a query or a fragment; write scheme, user, host and port only")
	}
	s := &SMTP{host: u.Hostname(), user: u.User.Username(), implicit: u.Scheme == "smtps"}
	port := u.Port()
	if port == "" {
		port = map[bool]string{true: "465", false: "587"}[s.implicit]
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strings.HasSuffix(u.Host, ":") {
		return nil, errors.New("has no proper port; write a number from 1 to 65535")
	}
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if strings.ContainsFunc(s.user, control) || strings.ContainsAny(s.host, " /\\@") {
		return nil, errors.New("has a character in its user or host that does not belong there")
	}
	s.address = net.JoinHostPort(s.host, port)
	if ip, err := netip.ParseAddr(s.host); err == nil {
		s.loopback = ip.IsLoopback()
	} else {
		s.loopback = s.host == "localhost"
	}
	return s, nil
}

// User returns the user of the login; empty: there is no login.
func (s *SMTP) User() string { return s.user }

// String returns the address of the server, for people.
func (s *SMTP) String() string { return s.address }

// Send makes one connection for one letter. Once the server has accepted the letter, a failure of
// the connection is ignored.
func (s *SMTP) Send(ctx context.Context, l Letter) (answer string, err error) {
	m, err := l.message()
	if err != nil {
		return "", &Fault{Final: true, Reason: err.Error()}
	}
	outer := ctx
	var opened *boundedConn
	stop := func() bool { return true }
	defer func() {
		stop()
		if opened != nil {
			opened.Close() // the library leaves the connection open when it gives up early
		}
	}()
	config := &tls.Config{ServerName: s.host, RootCAs: s.CAs, MinVersion: tls.VersionTLS12}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		plain, err := (&net.Dialer{}).DialContext(ctx, network, s.address)
		if err != nil {
			return nil, err
		}
		until, _ := ctx.Deadline()
		bounded := &boundedConn{Conn: plain}
		opened = bounded
		if err := bounded.end(until); err != nil {
			return nil, err
		}
		// A pending read ends when ctx ends.
		stop = context.AfterFunc(outer, bounded.cut)
		if !s.implicit {
			return bounded, nil
		}
		secure := tls.Client(bounded, config)
		return secure, secure.HandshakeContext(ctx)
	}
	policy := gomail.TLSMandatory
	if s.loopback {
		policy = gomail.NoTLS
	}
	left := time.Minute
	if end, ok := ctx.Deadline(); ok {
		left = time.Until(end)
	}
	if left <= 0 {
		return "", &Fault{Reason: "no time was left"}
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	options := []gomail.Option{
		gomail.WithTimeout(left), gomail.WithTLSConfig(config), gomail.WithTLSPolicy(policy),
		gomail.WithDialContextFunc(dial), gomail.WithHELO(s.helo()), gomail.WithoutNoop(), gomail.WithoutRset(),
	}
	if s.implicit {
		options = append(options, gomail.WithSSL())
	}
	if s.user != "" {
		options = append(options, gomail.WithSMTPAuthCustom(&login{s: s}))
	}
	client, err := gomail.NewClient(s.host, options...)
	if err != nil {
		return "", &Fault{Reason: "the mail client cannot be made: " + s.clean(err.Error())}
	}
	connection, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		f := s.fault(err)
		f.Server = true
		return "", f
	}
	err = client.SendWithSMTPClient(connection, m)
	if m.IsDelivered() {
		// QUIT may take a second. An error changes nothing, because the letter was accepted.
		quit := time.AfterFunc(time.Second, opened.cut)
		defer quit.Stop()
		_ = client.CloseWithSMTPClient(connection)
		return s.clean(m.ServerResponse()), nil
	}
	if err == nil {
		err = errors.New("the letter was not handed over")
	}
	return "", s.fault(err)
}

// helo returns a domain, or an address in brackets (RFC 5321 section 4.1.3).
func (s *SMTP) helo() string {
	ip, err := netip.ParseAddr(s.Helo)
	switch {
	case s.Helo == "":
		return "localhost"
	case err == nil && ip.Is4():
		return "[" + s.Helo + "]"
	case err == nil:
		return "[IPv6:" + s.Helo + "]"
	}
	return s.Helo
}

// boundedConn is a connection whose deadlines cannot be later than its end.
type boundedConn struct {
	net.Conn

	mu    sync.Mutex
	until time.Time
}

// end sets the end.
func (c *boundedConn) end(until time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = until
	return c.Conn.SetDeadline(until)
}

// cut ends what is read and written now, and all that would be later.
func (c *boundedConn) cut() { _ = c.end(time.Unix(1, 0)) }

func (c *boundedConn) set(set func(time.Time) error, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.until.IsZero() && (t.IsZero() || t.After(c.until)) {
		t = c.until
	}
	return set(t)
}

// SetDeadline, SetReadDeadline and SetWriteDeadline are those of a connection.
func (c *boundedConn) SetDeadline(t time.Time) error      { return c.set(c.Conn.SetDeadline, t) }
func (c *boundedConn) SetReadDeadline(t time.Time) error  { return c.set(c.Conn.SetReadDeadline, t) }
func (c *boundedConn) SetWriteDeadline(t time.Time) error { return c.set(c.Conn.SetWriteDeadline, t) }

// login logs in by PLAIN or LOGIN; every server has one of them. TLS hides the password. Without
// TLS the password is only sent to this machine.
type login struct {
	s    *SMTP
	auth smtp.Auth
}

func (a *login) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS && !a.s.loopback {
		return "", nil, errors.New("the connection is not encrypted")
	}
	for _, mechanism := range server.Auth {
		switch strings.ToUpper(mechanism) {
		case "PLAIN":
			a.auth = smtp.PlainAuth("", a.s.user, a.s.Password, a.s.host, true)
			return a.auth.Start(server)
		case "LOGIN":
			a.auth = smtp.LoginAuth(a.s.user, a.s.Password, a.s.host, true)
		}
	}
	if a.auth == nil {
		return "", nil, errors.New("the server takes neither PLAIN nor LOGIN for a password")
	}
	return a.auth.Start(server)
}

func (a *login) Next(fromServer []byte, more bool) ([]byte, error) {
	return a.auth.Next(fromServer, more)
}

// fault classifies an error of the library. A refusal of the address or of the content is final
// (RFC 5321 section 4.2.1). A refusal that an operator can lift is not: a wrong password, a sender
// that is not allowed, a closed relay (RFC 3463: 5.7).
func (s *SMTP) fault(err error) *Fault {
	var refused *gomail.SendError
	var protocol *textproto.Error
	switch {
	case errors.As(err, &refused) && refused.ErrorCode() != 0:
		answer := s.clean(answered(refused))
		f := &Fault{Answer: answer, Reason: "the mail server answered " + answer}
		if refused.ErrorCode() >= 500 {
			switch refused.Reason {
			case gomail.ErrSMTPRcptTo:
				f.Final = !policyCode.MatchString(answer)
			case gomail.ErrSMTPData, gomail.ErrSMTPDataClose, gomail.ErrWriteContent:
				f.Final = true
			}
		}
		switch refused.Reason {
		case gomail.ErrSMTPData, gomail.ErrSMTPDataClose, gomail.ErrWriteContent:
			// After DATA the answer may quote the letter.
			f.Reason = "the mail server answered " + replyCode.FindString(answer) + " to the message"
		}
		return f
	case errors.As(err, &protocol):
		answer := s.clean(fmt.Sprintf("%03d %s", protocol.Code, protocol.Msg))
		return &Fault{Answer: answer, Reason: "the mail server answered " + answer}
	}
	return &Fault{Reason: s.clean(networkReason(err))}
}

var (
	policyCode = regexp.MustCompile(`^5\d\d[ -]5\.7\.\d`)
	replyCode  = regexp.MustCompile(`^\d{3}([ -]\d\.\d{1,3}\.\d{1,3})?`)
)

// answered returns the server's answer from an error of the library, which adds words around it.
func answered(e *gomail.SendError) string {
	text := e.Error()
	if i := strings.Index(text, strconv.Itoa(e.ErrorCode())); i >= 0 {
		text = text[i:]
	}
	text, _, _ = strings.Cut(text, ", affected ")
	return unquoted(text)
}

// unquoted returns 550 no for 550 "no": the library quotes answers.
func unquoted(text string) string {
	code, quoted, found := strings.Cut(text, " ")
	if plain, err := strconv.Unquote(quoted); found && err == nil {
		return code + " " + plain
	}
	return text
}

// clean returns a server's words as one line of bounded length, without the password, which the
// server may repeat.
func (s *SMTP) clean(text string) string {
	for _, secret := range []string{s.Password, base64.StdEncoding.EncodeToString([]byte(s.Password)),
		base64.StdEncoding.EncodeToString([]byte("\x00" + s.user + "\x00" + s.Password))} {
		if s.Password != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	text = printable.Text(strings.Join(strings.Fields(text), " "))
	if r := []rune(text); len(r) > 300 {
		text = string(r[:299]) + "…"
	}
	return text
}

// networkReason returns the reason why the server could not be used.
func networkReason(err error) string {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &certificate):
		return "the mail server's certificate is not trusted: " + certificate.Err.Error()
	case errors.As(err, &record):
		return "the mail server does not speak TLS on this port; " +
			"smtps:// is TLS from the first byte, smtp:// begins with STARTTLS"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the name " + dns.Name + " cannot be resolved"
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err), errors.Is(err, os.ErrDeadlineExceeded):
		return "the mail server gave no answer in time"
	case errors.Is(err, context.Canceled):
		return "sending was interrupted"
	}
	for _, end := range []string{"EOF", "connection reset by peer", "broken pipe"} {
		if strings.HasSuffix(err.Error(), end) {
			return "the mail server ended the connection"
		}
	}
	if strings.Contains(err.Error(), "does not support STARTTLS") {
		return "the mail server offers no STARTTLS, and without TLS nothing is sent over a network"
	}
	return fmt.Sprintf("the mail server cannot be used: %v", err)
}
