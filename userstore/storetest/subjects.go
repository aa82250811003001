package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

func (f *fixture) newSubject(u userstore.User, sector string) userstore.Subject {
	return userstore.Subject{UserID: u.ID, Sector: sector, Subject: id(), CreatedAt: f.now}
}

const someSubjects = 1000

func subjectsRoundTrip(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, other := f.user(t), f.user(t)
	first := f.newSubject(u, "a.test")
	for _, s := range []userstore.Subject{first, f.newSubject(u, "a.test"), f.newSubject(u, "a.test")} {
		got, err := f.SubjectOf(ctx, s, someSubjects)
		must(t, err)
		equal(t, "subject", got, first.Subject)
	}
	second := f.newSubject(u, "b.test")
	second.CreatedAt = f.now.Add(time.Second)
	got, err := f.SubjectOf(ctx, second, someSubjects)
	must(t, err)
	equal(t, "the subject of another sector", got, second.Subject)
	others := f.newSubject(other, "a.test")
	got, err = f.SubjectOf(ctx, others, someSubjects)
	must(t, err)
	equal(t, "the subject of another user", got, others.Subject)

	list, err := f.ListSubjects(ctx, u.ID)
	must(t, err)
	first.CreatedAt, second.CreatedAt = stored(first.CreatedAt), stored(second.CreatedAt)
	equal(t, "subjects", list, []userstore.Subject{first, second})
	found := func(text string) (ids []string) {
		page, err := f.ListUsers(ctx, userstore.UserQuery{Text: text, Limit: 10})
		must(t, err)
		for _, u := range page.Users {
			ids = append(ids, u.ID)
		}
		return ids
	}
	equal(t, "found by a subject", found(first.Subject), []string{u.ID})
	equal(t, "found by another subject", found(others.Subject), []string{other.ID})
	for subject, want := range map[string]string{first.Subject: u.ID, second.Subject: u.ID, others.Subject: other.ID} {
		byIt, err := f.UserBySubject(ctx, subject)
		must(t, err)
		equal(t, "the user of a subject", byIt.ID, want)
	}
	for _, nobodys := range []string{u.ID, first.Subject[:10], "", "a\x00b"} {
		_, err := f.UserBySubject(ctx, nobodys)
		is(t, err, userstore.ErrNotFound)
	}
	equal(t, "found by part of a subject", found(first.Subject[:10]), []string(nil))

	// A subject is taken over by no other user and no other sector.
	stolen := f.newSubject(other, "c.test")
	stolen.Subject = first.Subject
	_, err = f.SubjectOf(ctx, stolen, someSubjects)
	is(t, err, userstore.ErrConflict)

	// A disabled user keeps what there is, and gets nothing new.
	must(t, f.SetActive(ctx, u.ID, false, f.now))
	got, err = f.SubjectOf(ctx, f.newSubject(u, "a.test"), someSubjects)
	must(t, err)
	equal(t, "the subject of a disabled user", got, first.Subject)
	_, err = f.SubjectOf(ctx, f.newSubject(u, "c.test"), someSubjects)
	is(t, err, userstore.ErrConflict)

	// It goes with its user.
	must(t, f.DeleteUser(ctx, u.ID))
	_, err = f.SubjectOf(ctx, f.newSubject(u, "a.test"), someSubjects)
	is(t, err, userstore.ErrConflict)
	list, err = f.ListSubjects(ctx, u.ID)
	must(t, err)
	equal(t, "subjects of a deleted user", len(list), 0)
	equal(t, "found by the subject of a deleted user", found(first.Subject), []string(nil))

	// What no engine can hold (S-01).
	for _, s := range []userstore.Subject{
		{UserID: other.ID, Sector: "a.test\x00", Subject: id()}, {UserID: other.ID, Sector: "b.test", Subject: "\x00"},
		{UserID: other.ID, Sector: "", Subject: id()}, {UserID: other.ID, Sector: "b.test"},
		{UserID: other.ID + "\x00", Sector: "a.test", Subject: id()},
	} {
		s.CreatedAt = f.now
		_, err = f.SubjectOf(ctx, s, someSubjects)
		is(t, err, userstore.ErrInvalid)
	}
	list, err = f.ListSubjects(ctx, other.ID+"\x00")
	must(t, err)
	equal(t, "subjects of a user who cannot be", len(list), 0)
}

// subjectsKept: what a code and its grant show to their client stays, whatever the client becomes.
func subjectsKept(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, c := f.user(t), f.client(t, nil)
	s := f.session(t, u)
	code := f.code(t, s, c, func(c *userstore.Code) { c.Subject = "of-the-code" })
	v, err := f.CodeByHash(ctx, code.Hash)
	must(t, err)
	equal(t, "the code's subject", v.Code.Subject, "of-the-code")
	r := f.redeem(code)
	r.Grant.Subject = "not-of-the-code"
	must(t, f.RedeemCode(ctx, r))
	kept := func(g userstore.Grant, want string) {
		t.Helper()
		view, err := f.GrantByID(ctx, g.ID)
		must(t, err)
		equal(t, "the grant's subject", view.Grant.Subject, want)
		view, err = f.GrantBySession(ctx, g.SessionID)
		must(t, err)
		equal(t, "the session's subject", view.Grant.Subject, want)
		equal(t, "the refreshed grant's subject", f.live(t, g).Subject, want)
	}
	kept(r.Grant, "of-the-code")
	kept(f.grant(t, u, func(g *userstore.Grant) { g.Subject = "of-the-login" }), "of-the-login")
	kept(f.grant(t, u), "")
	list, err := f.ListGrants(ctx, u.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "grants", len(list), 3)
	for _, g := range list {
		if g.SessionID == r.Grant.SessionID {
			equal(t, "the listed grant's subject", g.Subject, "of-the-code")
		}
	}
}

func subjectsBounded(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	must2 := func(_ string, err error) { t.Helper(); must(t, err) }
	must2(f.SubjectOf(t.Context(), f.newSubject(other, "a.test"), 2))
	var mu sync.Mutex
	done := 0
	together(16, func(n int) {
		_, err := f.SubjectOf(t.Context(), f.newSubject(u, fmt.Sprintf("s%d.test", n)), 5)
		if err == nil {
			mu.Lock()
			done++
			mu.Unlock()
			return
		}
		isAsync(t, err, userstore.ErrConflict)
	})
	list, err := f.ListSubjects(t.Context(), u.ID)
	must(t, err)
	equal(t, "subjects that were given", done, 5)
	equal(t, "subjects that are stored", len(list), 5)
	must2(f.SubjectOf(t.Context(), f.newSubject(u, list[0].Sector), 5)) // what is there is there
	must2(f.SubjectOf(t.Context(), f.newSubject(other, "b.test"), 2))
}

func raceSubjects(t *testing.T, f *fixture) {
	SubjectsAtOnce(t, f, f)
}

// SubjectsAtOnce asks for the subjects of one user 24 times at once, through all of the stores,
// which are replicas of one: all get the same ones.
func SubjectsAtOnce(t *testing.T, replicas ...userstore.Store) {
	f := &fixture{Store: replicas[0].(Store), now: base}
	u := f.user(t)
	for round := range 4 {
		sector := fmt.Sprintf("s%d.test", round)
		var mu sync.Mutex
		got := map[string]bool{}
		together(24, func(i int) {
			s, err := replicas[i%len(replicas)].SubjectOf(t.Context(), f.newSubject(u, sector), someSubjects)
			isAsync(t, err, nil)
			mu.Lock()
			defer mu.Unlock()
			got[s] = true
		})
		equal(t, "different subjects", len(got), 1)
	}
	list, err := f.ListSubjects(t.Context(), u.ID)
	must(t, err)
	equal(t, "subjects", len(list), 4)
}
