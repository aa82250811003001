package mail_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/mail/mailtest"
	"github.com/signet-id/signet/internal/outbox"
)

func composer(t *testing.T) *mail.Composer {
	t.Helper()
	texts, err := mail.LoadTexts(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &mail.Composer{
		From:    address(t, "no-reply@id.test"),
		Service: "Test",
		Issuer:  "https://id.test",
		Texts:   texts,
	}
}

func address(t *testing.T, text string) mail.Address {
	t.Helper()
	a, err := mail.ParseMailbox(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return a
}

func letter(t *testing.T, to string) mail.Letter {
	t.Helper()
	l, err := composer(t).Compose(outbox.Message{ID: "id1", Kind: outbox.PasswordSet, To: to, At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func parse(t *testing.T, url string) *mail.SMTP {
	t.Helper()
	s, err := mail.ParseSMTP(url)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return s
}

func TestSMTPWays(t *testing.T) {
	const password = "planted p\u00e4ss \\\"word"
	for _, c := range []struct {
		name   string
		server *mailtest.Server
		change func(*mail.SMTP, *mailtest.Server)
		fault  string // empty: the letter arrives
		logins int
	}{
		{"TLS from the first byte", &mailtest.Server{Implicit: true, User: "ada", Password: password}, nil, "", 1},
		{"STARTTLS", &mailtest.Server{User: "ada", Password: password}, nil, "", 1},
		{"without a user", &mailtest.Server{}, nil, "", 0},
		{"a user with an @", &mailtest.Server{User: "ada%40example.com", Password: password},
			func(_ *mail.SMTP, s *mailtest.Server) { s.User = "ada@example.com" }, "", 1},
		{"no TLS on this machine", &mailtest.Server{NoTLS: true, User: "ada", Password: password},
			func(s *mail.SMTP, m *mailtest.Server) { *s = *parse(t, m.URL()); s.Password = password }, "", 1},
		{"no TLS over a network", &mailtest.Server{NoTLS: true, User: "ada", Password: password}, nil,
			"offers no STARTTLS", 0},
		{"a certificate of another name", &mailtest.Server{User: "ada", Password: password, Names: []string{"mail.test"}},
			nil, "certificate is not trusted", 0},
		{"a certificate of another name, from the first byte", &mailtest.Server{Implicit: true, User: "ada",
			Password: password, Names: []string{"mail.test"}}, nil, "certificate is not trusted", 0},
		{"a certificate that nobody knows", &mailtest.Server{Implicit: true, User: "ada", Password: password},
			func(s *mail.SMTP, _ *mailtest.Server) { s.CAs = nil }, "certificate is not trusted", 0},
		{"a wrong password, which the server repeats", &mailtest.Server{Implicit: true, User: "ada", Password: "other"}, nil,
			"535 5.7.8 wrong password [redacted]", 1},
		{"nobody logs in where somebody must", &mailtest.Server{Implicit: true, User: "ada", Password: password},
			func(s *mail.SMTP, m *mailtest.Server) {
				*s = *parse(t, strings.Replace(m.URL(), "ada@", "", 1))
				s.CAs = m.CAs
			}, "530 5.7.0", 0},
		{"smtps where STARTTLS is spoken", &mailtest.Server{}, func(s *mail.SMTP, m *mailtest.Server) {
			*s = *parse(t, strings.Replace(m.URL(), "smtp:", "smtps:", 1)).Abroad()
		}, "does not speak TLS on this port", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := c.server.Start(t)
			way := parse(t, server.URL()).Abroad()
			way.CAs, way.Password = server.CAs, password
			if c.change != nil {
				c.change(way, server)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			answer, err := way.Send(ctx, letter(t, "bob@example.test"))
			if server.Logins() != c.logins {
				t.Errorf("%d passwords were sent", server.Logins())
			}
			if c.fault == "" {
				if err != nil || answer == "" || len(server.Letters()) != 1 {
					t.Fatalf("%q, %v, %d letters", answer, err, len(server.Letters()))
				}
				l := server.Letters()[0]
				if l.From != "no-reply@id.test" || l.To != "bob@example.test" {
					t.Errorf("from %s to %s", l.From, l.To)
				}
				return
			}
			var f *mail.Fault
			if !errors.As(err, &f) || !strings.Contains(err.Error(), c.fault) || !strings.Contains(f.Reason, c.fault) ||
				f.Final ||
				len(server.Letters()) != 0 {
				t.Errorf("%q, %v (%#v), want %q", answer, err, f, c.fault)
			}
			if err != nil && strings.Contains(err.Error()+f.Reason, password) {
				t.Errorf("the password is in %v", err)
			}
		})
	}
}

// What is refused for good is not tried again, and what an operator can mend is.
func TestSMTPRefusals(t *testing.T) {
	server := (&mailtest.Server{NoTLS: true}).Start(t)
	way := parse(t, server.URL())
	const quoted = "see https://id.test/verify/SECRET"
	for _, c := range []struct {
		name     string
		verdicts mailtest.Verdicts
		final    bool
		reason   string
	}{
		{"no such mailbox", mailtest.Verdicts{Rcpt: refuse(550, 5, 1, 1, "no such user")}, true,
			"the mail server answered 550 5.1.1 no such user"},
		{"a mailbox that is full, for good", mailtest.Verdicts{Rcpt: refuse(552, 5, 2, 2, "full")}, true,
			"the mail server answered 552 5.2.2 full"},
		{"a relay that is closed", mailtest.Verdicts{Rcpt: refuse(554, 5, 7, 1, "relay access denied")}, false,
			"the mail server answered 554 5.7.1 relay access denied"},
		{"a mailbox that is busy", mailtest.Verdicts{Rcpt: refuse(450, 4, 2, 1, "greylisted")}, false,
			"the mail server answered 450 4.2.1 greylisted"},
		{"a sender that is not ours", mailtest.Verdicts{Mail: refuse(550, 5, 1, 8, "not yours")}, false,
			"the mail server answered 550 5.1.8 not yours"},
		{"a server that is busy", mailtest.Verdicts{Mail: refuse(421, 4, 3, 2, "later")}, false,
			"the mail server answered 421 4.3.2 later"},
		{"a content that is refused, and quoted", mailtest.Verdicts{Data: func(mailtest.Letter) error {
			return mailtest.Refuse(554, 5, 7, 1, quoted)
		}}, true, "the mail server answered 554 5.7.1 to the message"},
		{"a content that is deferred, and quoted", mailtest.Verdicts{Data: func(mailtest.Letter) error {
			return mailtest.Refuse(451, 4, 7, 1, quoted)
		}}, false, "the mail server answered 451 4.7.1 to the message"},
	} {
		server.Set(c.verdicts)
		_, err := way.Send(t.Context(), letter(t, "bob@example.test"))
		var f *mail.Fault
		if !errors.As(err, &f) || f.Final != c.final || f.Reason != c.reason || strings.Contains(f.Reason, "SECRET") {
			t.Errorf("%s: %#v, want %q", c.name, err, c.reason)
		}
	}
	if n := len(server.Letters()); n != 0 {
		t.Errorf("%d letters were accepted", n)
	}
}

func refuse(code, class, subject, detail int, text string) func(string) error {
	return func(string) error { return mailtest.Refuse(code, class, subject, detail, text) }
}

// The time is what the caller gives, whatever the server does with it.
func TestSMTPThatIsSlow(t *testing.T) {
	script := func(at string) string {
		return mailtest.Script(t, func(line string) string {
			switch {
			case line == at,
				at == "HELLO" && strings.HasPrefix(line, "EHLO"),
				at == "RCPT" && strings.HasPrefix(line, "RCPT"):
				return "…"
			case line == "DATA":
				return "354 go on"
			case line == "":
				return "220 hello"
			}
			return "250 fine"
		})
	}
	drip, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer drip.Close()
	go func() {
		for {
			c, err := drip.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for err == nil {
					time.Sleep(20 * time.Millisecond)
					_, err = c.Write([]byte("2"))
				}
			}()
		}
	}()
	for name, url := range map[string]string{
		"no greeting": script(""), "no answer to EHLO": script("HELLO"), "no answer to RCPT": script("RCPT"),
		"no answer to DATA":       script("DATA"),
		"no answer to the letter": script("."), "a byte now and then": "smtp://" + drip.Addr().String(),
		"no handshake": strings.Replace(script(""), "smtp:", "smtps:", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for how, begin := range map[string]func() (context.Context, context.CancelFunc){
				"a deadline": func() (context.Context, context.CancelFunc) {
					return context.WithTimeout(t.Context(), 200*time.Millisecond)
				},
				"an end": func() (context.Context, context.CancelFunc) {
					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(200*time.Millisecond, cancel)
					return ctx, cancel
				},
			} {
				ctx, cancel := begin()
				start := time.Now()
				_, err := parse(t, url).Send(ctx, letter(t, "bob@example.test"))
				cancel()
				var f *mail.Fault
				if took := time.Since(start); !errors.As(err, &f) || f.Final || took > time.Minute {
					t.Errorf("%s: %v after %s", how, err, took)
				}
			}
		})
	}
}

// A letter was accepted when the server said so, whatever happens to the connection then; and not
// before.
func TestSMTPThatDies(t *testing.T) {
	for name, c := range map[string]struct {
		answer   string
		accepted bool
	}{
		"after its 250": {"250 mine!", true}, "before its 250": {"!", false}, "in the middle of it": {"25!", false},
	} {
		url := mailtest.Script(t, func(line string) string {
			switch line {
			case "":
				return "220 hello"
			case "DATA":
				return "354 go on"
			case ".":
				return c.answer
			}
			return "250 fine"
		})
		answer, err := parse(t, url).Send(t.Context(), letter(t, "bob@example.test"))
		var f *mail.Fault
		if (err == nil) != c.accepted || err != nil && (!errors.As(err, &f) || f.Final) {
			t.Errorf("%s: %q, %#v", name, answer, err)
		}
	}
}

func TestParseSMTP(t *testing.T) {
	for text, want := range map[string]string{
		"smtps://ada@mail.example.com": "mail.example.com:465", "smtp://mail.example.com": "mail.example.com:587",
		"smtp://ada%40example.com@mail.example.com:2525": "mail.example.com:2525", "smtp://[::1]:25": "[::1]:25",
		"smtps://10.0.0.1/": "10.0.0.1:465",
	} {
		if s, err := mail.ParseSMTP(text); err != nil || s.String() != want {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
	for text, want := range map[string]string{
		"": "not the URL", "mail.example.com": "not the URL", "https://mail.example.com": "not the URL",
		"smtp:mail": "not the URL", "smtp://": "not the URL",
		"smtp://ada:hunter2@mail.example.com": "holds a password", "smtp://ada:@mail.example.com": "holds a password",
		"smtp://mail.example.com/x": "path", "smtp://mail.example.com?x": "query", "smtp://mail.example.com#x": "fragment",
		"smtp://mail.example.com:0": "port", "smtp://mail.example.com:70000": "port", "smtp://mail.example.com:": "port",
		"smtp://a%0d%0ab@mail.example.com": "character", "smtp://user:hunter2@mail:x": "not the URL",
	} {
		_, err := mail.ParseSMTP(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// P-12: what would be another header, or another recipient, is refused by the types of a letter;
// what is not refused is one header, whatever it holds.
func TestP12NoHeaderCanBeForged(t *testing.T) {
	server := (&mailtest.Server{NoTLS: true}).Start(t)
	way := parse(t, server.URL())
	hostile := []string{
		"a@b.test\r\nBcc: c@d.test", "a@b.test\nBcc: c@d.test", "a@b.test\rX: y", "a@b.test,c@d.test", "a@b.test;c@d.test",
		"a@b.test c@d.test", "a@b.test>", "<a@b.test>",
		"\"a\r\n b\"@b.test", "a@b.test\x00", "a\u2028b@c.test", "a\u0085b@c.test", "a@b.test\u202e", "a@[127.0.0.1]", "a@b",
		"", "@", "a@b@c.test", "a b@c.test",
		"=?utf-8?q?a=0D=0ABcc:_c@d.test?=@b.test", "=?utf-8?b?DQpCY2M6?=@b.test", "{{7*7}}@b.test", "a.%0d%0aBcc@b.test",
		"ü@bücher.test", "RCPT@b.test",
	}
	for _, text := range hostile {
		to, err := mail.ParseAddress(text)
		if err != nil {
			continue
		}
		l := letter(t, "bob@example.test")
		l.To = to.Named(text)
		l.Subject, err = mail.NewSubject("S " + text)
		if err != nil {
			t.Errorf("%q is an address and no subject: %v", text, err)
			continue
		}
		before := len(server.Letters())
		if _, err := way.Send(t.Context(), l); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		got := server.Letters()[before:]
		m, err := netmail.ReadMessage(bytes.NewReader(got[0].Data))
		if err != nil || len(got) != 1 || got[0].To != to.String() {
			t.Fatalf("%q: %v, %d letters to %q", text, err, len(got), got[0].To)
		}
		for name := range m.Header {
			if !strings.Contains(
				" Auto-Submitted Content-Language Content-Type Date From Message-Id Mime-Version Subject To X-Auto-Response-Suppress ",
				" "+name+" ",
			) {
				t.Errorf("%q made a header %s", text, name)
			}
		}
		if list, err := m.Header.AddressList("To"); err != nil || len(list) != 1 || list[0].Address != to.String() {
			t.Errorf("%q: to %v, %v", text, list, err)
		}
	}
	if len(server.Letters()) < 5 {
		t.Errorf("only %d of them are addresses", len(server.Letters()))
	}
	for _, text := range []string{"", "a\r\nb", "a\nb", "a\x00b", "a\u2028b", "\u202eb", "\xff",
		strings.Repeat("a", 201)} {
		if _, err := mail.NewSubject(text); err == nil {
			t.Errorf("%q is a subject", text)
		}
	}
	for _, text := range []string{"", "a b", "a>", "a@b", "a\r\n", "ü"} {
		if _, err := mail.NewMessageID(text, address(t, "a@b.test")); err == nil {
			t.Errorf("%q is the id of a message", text)
		}
	}
	for _, text := range []string{"A\r\nBcc: x <a@b.test>", "A <a@b.test>, B <c@d.test>", "A <a@b.test> C", "A", "A <a>"} {
		if _, err := mail.ParseMailbox(text); err == nil {
			t.Errorf("%q is a mailbox", text)
		}
	}
	if _, err := way.Send(t.Context(), mail.Letter{}); err == nil {
		t.Error("a letter of nothing was sent")
	}
}
