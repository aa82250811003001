package backchannel_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/backchannel"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// world is a store with senders, and a clock for all.
type world struct {
	*testing.T
	db   *sqlstore.DB
	log  *lockedBuffer
	user userstore.User

	mu     sync.Mutex
	now    time.Time
	heard  []string                          // the sid of each token that arrived, in order
	answer func(address string) (int, error) // of the apps; nil: 200
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func each(t *testing.T, fn func(w *world)) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		w := &world{T: t, db: db, log: &lockedBuffer{}, now: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
		w.user = userstore.User{ID: rand.Text(), Email: "a@x.test", EmailKey: "a@x.test", PasswordHash: "h", IsActive: true,
			CreatedAt: w.now, UpdatedAt: w.now}
		w.must(db.CreateUser(t.Context(), w.user))
		fn(w)
	})
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) Now(context.Context) (time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now, nil
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// secret stands in every token, and nowhere else.
const secret = "eyJ-of-the-token"

func (w *world) post(_ context.Context, address string, form url.Values) (int, error) {
	w.mu.Lock()
	sid, ok := strings.CutPrefix(form.Get("logout_token"), secret)
	w.heard = append(w.heard, sid)
	answer := w.answer
	w.mu.Unlock()
	if !ok || len(form) != 1 {
		w.Errorf("the form is %v", form)
	}
	if answer == nil {
		return 200, nil
	}
	return answer(address)
}

func (w *world) arrived() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.heard...)
}

func (w *world) sender() *backchannel.Sender {
	w.Helper()
	s := &backchannel.Sender{
		Post: w.post, Store: w.db, Clients: w.db, Now: w.Now, Log: slog.New(slog.NewTextHandler(w.log, nil)),
		Token: func(s userstore.AppSession, _ userstore.Client) (string, error) { return secret + s.SessionID, nil },
	}
	w.must(s.Complete())
	return s
}

// client makes a client that hears of logouts.
func (w *world) client(name string) userstore.Client {
	w.Helper()
	c := userstore.Client{ID: name, Name: name, AuthMethod: userstore.AuthNone, GrantTypes: []string{"refresh_token"},
		CreatedAt:      w.now,
		ClientMetadata: userstore.ClientMetadata{BackchannelLogoutURI: "https://" + name + ".test/out?key=hidden"}}
	w.must(w.db.CreateClient(w.Context(), c))
	return c
}

// ended begins and ends a session at a client, and returns its sid.
func (w *world) ended(c userstore.Client) string {
	w.Helper()
	g := userstore.Grant{SessionID: rand.Text(), UserID: w.user.ID, ClientID: c.ID, Generation: 1, RotatedAt: w.now,
		CreatedAt: w.now, ExpiresAt: w.now.Add(time.Hour)}
	rand.Read(g.ID[:])
	w.must(w.db.StartGrant(w.Context(), userstore.StartGrant{Grant: g, PasswordHash: "h"}))
	w.must(w.db.RevokeGrant(w.Context(), g.ID, w.now))
	return g.SessionID
}

func (w *world) step(s *backchannel.Sender, want int) {
	w.Helper()
	if n, err := s.Step(w.Context()); err != nil || n != want {
		w.Fatalf("%d were taken, want %d: %v\n%s", n, want, err, w.log)
	}
}

func (w *world) waiting() int {
	w.Helper()
	state, err := w.db.AppSessionsState(w.Context())
	w.must(err)
	return state.Waiting
}

func (w *world) givenUp() []audit.Event {
	w.Helper()
	events, err := w.db.ListEvents(w.Context(), userstore.EventQuery{Name: audit.LogoutGivenUp, Limit: 100})
	w.must(err)
	return events
}
