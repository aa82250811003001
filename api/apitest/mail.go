package apitest

import (
	"context"
	"sync"

	"github.com/signet-id/signet/internal/mail"
)

// letters is the Way of the servers here: it keeps what they send.
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

func (s *Server) mail(issuerURL string) (*mail.Worker, error) {
	texts, err := mail.LoadTexts(nil)
	if err != nil {
		return nil, err
	}
	from, err := mail.ParseAddress("no-reply@id.test")
	return &mail.Worker{Way: s.letters, Compose: &mail.Composer{From: from, Service: "Test", Issuer: issuerURL, Texts: texts}}, err
}

// Letters sends what waits in the outbox, and returns what was sent since the last time.
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
