package storetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// signup is a sign-up with an address, and what SavePendingSignup takes beside it.
type signup struct {
	userstore.PendingSignup
	request userstore.MailRequest
	message outbox.Message
}

func (f *fixture) newSignup(address string) signup {
	r, m := f.request(address)
	r.Kind, m.Kind, m.To = outbox.VerifyEmail, outbox.VerifyEmail, address
	key := strings.ToLower(address)
	return signup{userstore.PendingSignup{
		ID: r.ID, Email: address, EmailKey: key, Username: "U" + r.ID, UsernameKey: "u" + strings.ToLower(r.ID),
		PasswordHash: "hash-" + r.ID,
		Claims:       userstore.Claims{Name: "Ada", Address: &userstore.Address{Country: "CH"}}, Language: "de",
		At: r.At, EndsAt: r.At.Add(7 * 24 * time.Hour)}, r, m}
}

// save stores s and returns the id under which it is stored.
func (f *fixture) save(t *testing.T, s signup) string {
	t.Helper()
	stored, err := f.SavePendingSignup(t.Context(), s.PendingSignup, s.At.Add(-time.Minute), s.request, nil, s.message)
	must(t, err)
	return stored
}

func signupToken(s signup) userstore.OneTimeToken {
	return userstore.OneTimeToken{ID: s.ID, At: s.At, EndsAt: s.At.Add(24 * time.Hour)}
}

// sent stores a sign-up with its token, as after its message was sent.
func (f *fixture) sent(t *testing.T, address string) signup {
	t.Helper()
	s := f.newSignup(address)
	f.save(t, s)
	must(t, f.IssueSignupToken(t.Context(), s.ID, signupToken(s)))
	return s
}

func (s signup) user() userstore.User {
	return userstore.User{
		ID:            id(),
		Email:         s.Email,
		EmailKey:      s.EmailKey,
		EmailVerified: true,
		Username:      s.Username,
		UsernameKey:   s.UsernameKey,
		PasswordHash:  s.PasswordHash,
		Claims:        s.Claims,
		IsActive:      true,
		CreatedAt:     s.At,
		UpdatedAt:     s.At,
		Version:       1,
	}
}

func address() string { return id() + "@Example.test" }

func pendingSignups(t *testing.T, f *fixture) {
	ctx := t.Context()
	first := f.newSignup(address())
	for range 2 { // the second one is an answer that was lost
		equal(t, "the id", f.save(t, first), first.ID)
	}
	got, err := f.PendingSignup(ctx, first.ID, first.At)
	must(t, err)
	equal(t, "the sign-up", got, first.PendingSignup)
	equal(t, "its message", len(f.waits(t, first.Email)), 1)
	must(t, f.TryCode(ctx, first.ID, outbox.VerifyEmail, first.At, 1))

	// An address with an account is no other, and the owner's sign-up stays beside a stranger's.
	u := f.user(t)
	taken := f.newSignup(u.Email)
	equal(t, "of an address with an account", f.save(t, taken), taken.ID)
	f.now = f.now.Add(time.Second)
	second := f.newSignup(first.Email)
	second.Browser[0] = 1
	equal(t, "of the same address", f.save(t, second), second.ID)
	none := userstore.BrowserKey{}
	list := func(browser userstore.BrowserKey, at time.Time, limit int) (ids []string) {
		found, err := f.PendingSignups(ctx, first.EmailKey, browser, at, limit)
		must(t, err)
		for _, p := range found {
			ids = append(ids, p.ID)
		}
		return ids
	}
	equal(t, "newest first", list(none, f.now, 9), []string{second.ID, first.ID})
	equal(t, "the newest", list(none, f.now, 1), []string{second.ID})
	equal(t, "of the browser", list(second.Browser, f.now, 9), []string{second.ID})
	equal(t, "of another browser", len(list(userstore.BrowserKey{2}, f.now, 9)), 0)

	// A form that is sent twice is one sign-up: it gets what came last, and has one message.
	twice := f.newSignup(first.Email)
	twice.Browser, twice.PasswordHash, twice.Username, twice.UsernameKey = second.Browser, "another", "", ""
	for range 2 {
		equal(t, "sent twice", f.save(t, twice), second.ID)
	}
	got, err = f.PendingSignup(ctx, second.ID, f.now)
	must(t, err)
	want := twice.PendingSignup
	want.ID, want.At, want.EndsAt = second.ID, second.At, second.EndsAt
	equal(t, "what came last", got, want)
	equal(t, "messages", len(f.waits(t, first.Email)), 2)
	is(t, f.TryCode(ctx, twice.ID, outbox.VerifyEmail, twice.At, 1), userstore.ErrConflict)
	for _, change := range []func(*signup){
		func(s *signup) { s.Browser[0] = 3 },
		func(s *signup) { s.Email = strings.ToLower(s.Email) }, // the same key, and perhaps another mailbox
		func(s *signup) { s.At, s.EndsAt = s.At.Add(time.Minute+time.Second), s.EndsAt.Add(time.Minute) },
		func(s *signup) { s.Browser = none },
	} {
		other := f.newSignup(first.Email)
		other.Browser = second.Browser
		change(&other)
		equal(t, "another sign-up", f.save(t, other), other.ID)
	}

	// The budget of an address drops messages, and no sign-up.
	limits := []userstore.Limit{{Free: 1, Window: time.Minute}}
	full := address()
	for range 3 {
		s := f.newSignup(full)
		_, err := f.SavePendingSignup(ctx, s.PendingSignup, s.At, s.request, limits, s.message)
		must(t, err)
		_, err = f.PendingSignup(ctx, s.ID, s.At)
		must(t, err)
	}
	equal(t, "messages within the budget", len(f.waits(t, full)), 1)

	wrong := f.newSignup(address())
	wrong.ID = id()
	_, err = f.SavePendingSignup(ctx, wrong.PendingSignup, wrong.At, wrong.request, nil, wrong.message)
	is(t, err, userstore.ErrInvalid)
	for _, s := range unknownStrings {
		for _, change := range []func(*signup){
			func(w *signup) { w.Email = s }, func(w *signup) { w.EmailKey = s }, func(w *signup) { w.UsernameKey = s },
			func(w *signup) { w.PasswordHash = s }, func(w *signup) { w.Language = s },
			func(w *signup) { w.Claims.Name = s },
		} {
			wrong := f.newSignup(address())
			change(&wrong)
			_, err := f.SavePendingSignup(ctx, wrong.PendingSignup, wrong.At, wrong.request, nil, wrong.message)
			is(t, err, userstore.ErrInvalid)
		}
		_, err = f.PendingSignup(ctx, s, f.now)
		is(t, err, userstore.ErrNotFound)
		_, err = f.PendingSignupByToken(ctx, s, f.now)
		is(t, err, userstore.ErrNotFound)
		is(t, f.IssueSignupToken(ctx, s, signupToken(first)), userstore.ErrConflict)
		is(t, f.CreateProvedUser(ctx, s, first.user()), userstore.ErrConflict)
		found, err := f.PendingSignups(ctx, s, none, f.now, 9)
		must(t, err)
		equal(t, "found", len(found), 0)
	}
	for _, s := range hostile {
		h := f.newSignup(address())
		h.Username, h.PasswordHash, h.Language, h.Claims = s, s, s, userstore.Claims{
			Name:    s,
			Address: &userstore.Address{Region: s},
		}
		f.save(t, h)
		got, err := f.PendingSignup(ctx, h.ID, h.At)
		must(t, err)
		equal(t, "hostile", got, h.PendingSignup)
	}

	// It ends after its time, for every reader, and goes in batches.
	_, err = f.PendingSignup(ctx, first.ID, first.EndsAt.Add(-time.Microsecond))
	must(t, err)
	_, err = f.PendingSignup(ctx, first.ID, first.EndsAt)
	is(t, err, userstore.ErrNotFound)
	equal(t, "after the end of one", len(list(second.Browser, second.EndsAt, 9)), 1) // the one a minute later
	_, err = f.RemoveExpiredTokens(ctx, first.EndsAt.Add(-time.Microsecond), 1000)
	must(t, err)
	_, err = f.PendingSignup(ctx, first.ID, first.At)
	must(t, err)
	n, err := f.RemoveExpiredTokens(ctx, first.EndsAt.Add(time.Hour), 3)
	must(t, err)
	equal(t, "removed at once", n, 3)
	_, err = f.RemoveExpiredTokens(ctx, first.EndsAt.Add(time.Hour), 1000)
	must(t, err)
	equal(t, "left", len(list(none, first.At, 100)), 0)
}

func signupTokens(t *testing.T, f *fixture) {
	ctx := t.Context()
	s := f.sent(t, address())
	stranger := f.newSignup(s.Email)
	f.save(t, stranger)
	byToken := func(token string, at time.Time) string {
		p, err := f.PendingSignupByToken(ctx, token, at)
		if err != nil {
			is(t, err, userstore.ErrNotFound)
		}
		return p.ID
	}
	equal(t, "the token's", byToken(s.ID, s.At), s.ID)
	equal(t, "without a token", byToken(stranger.ID, s.At), "")
	equal(t, "no token", byToken("", s.At), "")
	equal(t, "when the token has ended", byToken(s.ID, s.At.Add(24*time.Hour)), "")

	// A newer one ends the older, of this sign-up only; the older message may be composed late or once more.
	older, newer := signupToken(s), signupToken(s)
	newer.ID, newer.At, newer.EndsAt = id(), older.At.Add(time.Hour), older.EndsAt.Add(time.Hour)
	must(t, f.IssueSignupToken(ctx, stranger.ID, signupToken(stranger)))
	for range 2 {
		must(t, f.IssueSignupToken(ctx, s.ID, newer))
		is(t, f.IssueSignupToken(ctx, s.ID, older), userstore.ErrConflict)
	}
	equal(t, "the older", byToken(older.ID, newer.At), "")
	equal(t, "the newer", byToken(newer.ID, newer.At), s.ID)
	equal(t, "the other sign-up's", byToken(stranger.ID, newer.At), stranger.ID)

	// A token may outlive its sign-up, and is of no use then.
	last := newer
	last.ID, last.At, last.EndsAt = id(), s.EndsAt.Add(-time.Hour), s.EndsAt.Add(time.Hour)
	must(t, f.IssueSignupToken(ctx, s.ID, last))
	equal(t, "at the end of the sign-up", byToken(last.ID, s.EndsAt), "")
	last.ID, last.At = id(), s.EndsAt
	is(t, f.IssueSignupToken(ctx, s.ID, last), userstore.ErrConflict)
	is(t, f.IssueSignupToken(ctx, id(), newer), userstore.ErrConflict)

	// None for an address that has an account.
	u := f.user(t)
	taken := f.newSignup(u.Email)
	taken.EmailKey = u.EmailKey
	f.save(t, taken)
	is(t, f.IssueSignupToken(ctx, taken.ID, signupToken(taken)), userstore.ErrConflict)
}

func provedUsers(t *testing.T, f *fixture) {
	ctx := t.Context()
	s := f.sent(t, address())
	stranger := f.newSignup(s.Email)
	f.save(t, stranger)
	bystander := f.sent(t, address())
	refused := func(token string, u userstore.User, want error) {
		t.Helper()
		is(t, f.CreateProvedUser(ctx, token, u, f.event(u.ID)), want)
		if _, err := f.UserByID(ctx, u.ID); !errors.Is(err, userstore.ErrNotFound) {
			t.Errorf("after %v: %v", want, err)
		}
		equal(t, "entries", f.storedEntries(t, u.ID), 0)
		_, err := f.PendingSignupByToken(ctx, s.ID, s.At)
		must(t, err)
	}
	u := s.user()
	refused(id(), u, userstore.ErrConflict)
	refused("", u, userstore.ErrConflict)
	refused(stranger.ID, u, userstore.ErrConflict)  // its message was not sent
	refused(bystander.ID, u, userstore.ErrConflict) // of another address
	late := s.user()
	late.CreatedAt = s.At.Add(24 * time.Hour)
	refused(s.ID, late, userstore.ErrConflict)
	named := f.newUser()
	named.UsernameKey = u.UsernameKey
	must(t, f.CreateUser(ctx, named))
	existsIn(t, f.CreateProvedUser(ctx, s.ID, u, f.event(u.ID)), "username")
	refused(s.ID, u, userstore.ErrExists)

	u.Username, u.UsernameKey = "", ""
	must(t, f.CreateProvedUser(ctx, s.ID, u, f.event(u.ID)))
	got, err := f.UserByID(ctx, u.ID)
	must(t, err)
	equal(t, "the account", got, u)
	equal(t, "entries", f.storedEntries(t, u.ID), 1)
	for _, p := range []string{s.ID, stranger.ID} {
		_, err := f.PendingSignup(ctx, p, s.At)
		is(t, err, userstore.ErrNotFound)
	}
	_, err = f.PendingSignup(ctx, bystander.ID, s.At)
	must(t, err)
	is(t, f.CreateProvedUser(ctx, s.ID, s.user()), userstore.ErrConflict)

	// An account that was made meanwhile keeps its address.
	taken := f.sent(t, address())
	other := f.newUser()
	other.EmailKey = taken.EmailKey
	must(t, f.CreateUser(ctx, other))
	existsIn(t, f.CreateProvedUser(ctx, taken.ID, taken.user()), "email")

	// So does an account that has just left it, for as long as the change can be undone.
	reserved := f.sent(t, address())
	owner := f.newUser()
	owner.Email, owner.EmailKey = reserved.Email, reserved.EmailKey
	must(t, f.CreateUser(ctx, owner))
	f.changed(t, owner, id())
	existsIn(t, f.CreateProvedUser(ctx, reserved.ID, reserved.user(), f.event(owner.ID)), "email")
	later := f.newSignup(reserved.Email)
	f.save(t, later)
	is(t, f.IssueSignupToken(ctx, later.ID, signupToken(later)), userstore.ErrConflict)
}

// operationProve is the operation that makes an account of a pending sign-up.
func operationProve() Operation {
	return Operation{
		Name: "create a user whose address is proved",
		Once: true,
		Prepare: func(t *testing.T, store Store) Prepared {
			f := &fixture{Store: store, now: base}
			s := f.sent(t, address())
			u := s.user()
			return Prepared{
				func(e ...audit.Event) error { return f.CreateProvedUser(t.Context(), s.ID, u, e...) },
				func(e ...audit.Event) error { return f.CreateProvedUser(t.Context(), id(), s.user(), e...) },
				func() bool {
					_, err := f.UserByID(t.Context(), u.ID)
					if !errors.Is(err, userstore.ErrNotFound) {
						must(t, err)
					}
					return err == nil
				}}
		},
	}
}
