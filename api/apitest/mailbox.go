package apitest

import (
	"errors"
	"net/http"
	"time"

	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// Requiring is an option of Each: accounts are made when their address is proved.
func Requiring(o *Options) {
	Configured(func(r *Replica) { r.Accounts.Verification = userstore.VerificationRequired })(o)
}

// Verifying is an option of Each: sign-ups are asked to prove their address.
func Verifying(o *Options) {
	Configured(func(r *Replica) { r.Accounts.Verification = userstore.VerificationOptional })(o)
}

// WithoutMail is an option of Each: nothing sends messages, and an edit of the profile changes an
// address.
func WithoutMail(o *Options) {
	Configured(func(r *Replica) { r.Accounts.NoMail = true })(o)
}

// Mail is a message as it went out.
type Mail struct {
	outbox.Message
	outbox.Contents
	Kind outbox.Kind // what it turned out to be
}

// Token is the end of the message's link.
func (m Mail) Token() string {
	for i := len(m.Link) - 1; i >= 0; i-- {
		if m.Link[i] == '/' {
			return m.Link[i+1:]
		}
	}
	return ""
}

// Mails sends what waits in the outbox, as a worker would, and returns it, the oldest first. Whatever can be redeemed is
// a secret that no log may hold.
func (s *Server) Mails() (sent []Mail) {
	s.T.Helper()
	ctx, now := s.T.Context(), s.Clock.Now()
	for {
		w, err := s.DB.ClaimMessage(ctx, random32(), now, now.Add(time.Minute))
		if errors.Is(err, userstore.ErrNotFound) {
			return sent
		}
		if err != nil {
			s.T.Fatalf("claim a message: %v", err)
		}
		contents, err := s.Replicas[0].Accounts.Contents(ctx, w.Message)
		switch {
		case err == nil:
			if contents.Kind == "" {
				contents.Kind = w.Kind
			}
			sent = append(sent, Mail{w.Message, contents, contents.Kind})
			switch contents.Kind {
			case outbox.ResetPassword, outbox.VerifyEmail, outbox.ChangeEmail, outbox.Invite, outbox.FactorAdded:
				s.Secret(sent[len(sent)-1].Token())
			}
		case !errors.Is(err, userstore.ErrNothingToSend):
			s.T.Fatalf("compose a message: %v", err)
		}
		if err := s.DB.RemoveMessage(ctx, w.ID); err != nil {
			s.T.Fatalf("remove a message: %v", err)
		}
	}
}

// MailOf sends what waits, and returns the one message of the kind among it.
func (s *Server) MailOf(kind outbox.Kind) Mail {
	s.T.Helper()
	var found []Mail
	for _, m := range s.Mails() {
		if m.Kind == kind {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		s.T.Fatalf("%d messages of the kind %s, not one", len(found), kind)
	}
	return found[0]
}

func random32() string {
	a, b := random(), random()
	return Encode(string(a[:]) + string(b[:]))
}

// SignUpPending signs up where addresses have to be proved first, and returns the handle.
func (s *Server) SignUpPending(email string) (u User, handle string) {
	s.T.Helper()
	u = User{Email: email, Password: s.Secret("planted password of a pending sign-up " + random32())}
	var answer struct{ Handle string }
	s.Do(Request{Method: "POST", Path: "/v1/signup", Body: Fields{"email": u.Email, "password": u.Password}}).
		Want(http.StatusAccepted, "").JSON(&answer)
	return u, answer.Handle
}

// Operated makes an account as an operator does.
func (s *Server) Operated(email string, verified bool) User {
	s.T.Helper()
	u := User{Email: email, Password: s.Secret("planted password of an operator's " + random32())}
	made, err := s.Replicas[0].Accounts.RegisterByOperator(s.T.Context(), userstore.OperatorUser{
		NewUser: userstore.NewUser{Email: u.Email, Password: u.Password}, EmailVerified: verified,
	})
	if err != nil {
		s.T.Fatalf("make an account: %v", err)
	}
	u.ID = made.ID
	return u
}
