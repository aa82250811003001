package apitest

import (
	"context"
	"strings"
	"sync"

	"github.com/signet-id/signet/internal/mail"
)

// letters is the Way of the test servers: it keeps the letters that they send.
type letters struct {
	mu   sync.Mutex
	sent []mail.Letter
}

// Send is mail.Way.
func (l *letters) Send(_ context.Context, letter mail.Letter) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, letter)
	return "250 kept", nil
}

// builtInTexts are the texts of the product, which no test changes.
var builtInTexts = sync.OnceValues(func() (*mail.Texts, error) { return mail.LoadTexts(nil) })

func (s *Server) mail(issuerURL string) (*mail.Worker, error) {
	texts, err := builtInTexts()
	if err != nil {
		return nil, err
	}
	from, err := mail.ParseAddress("no-reply@id.test")
	return &mail.Worker{Way: s.letters, Compose: &mail.Composer{From: from, Service: "Test", Issuer: issuerURL, Texts: texts}}, err
}

// Letters sends the messages of the outbox, and returns the letters sent since the last call.
func (s *Server) Letters() []mail.Letter {
	s.T.Helper()
	if _, err := s.Replicas[0].Mail.Step(s.T.Context()); err != nil {
		s.T.Fatalf("send the outbox: %v", err)
	}
	s.letters.mu.Lock()
	defer s.letters.mu.Unlock()
	sent := s.letters.sent
	s.letters.sent = nil
	return sent
}

// Linked returns the token of the link in a letter that leads to path.
func Linked(l mail.Letter, path string) string {
	_, rest, _ := strings.Cut(l.Text, IssuerURL+path)
	token, _, _ := strings.Cut(rest, "\r")
	return token
}
