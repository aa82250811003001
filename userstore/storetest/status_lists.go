package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// listSize is how many places a list has here.
const listSize = 16

// place reserves a place.
func (f *fixture) place(t *testing.T) int64 {
	t.Helper()
	p, err := f.ReservePlaces(t.Context(), 1)
	must(t, err)
	return p
}

// placed logs u in at a client, with a place.
func (f *fixture) placed(t *testing.T, u userstore.User, clientID string) userstore.Grant {
	t.Helper()
	return f.grant(t, u, func(g *userstore.Grant) { g.ClientID, g.StatusIndex = clientID, f.place(t) })
}

// isRevoked checks whether the lists say that a place is revoked.
func (f *fixture) isRevoked(t *testing.T, what string, place int64, want bool) {
	t.Helper()
	p, err := f.RevokedPlaces(t.Context(), place, place)
	must(t, err)
	if got := place < p.CutoffIndex || slices.Contains(p.Ended, place); got != want {
		t.Errorf("%s: place %d revoked: %v, want %v", what, place, got, want)
	}
}

// placesRevoked ends grants in every way there is.
func placesRevoked(t *testing.T, f *fixture) {
	ctx := t.Context()
	type world struct {
		user   userstore.User
		client userstore.Client
		grant  userstore.Grant
	}
	for _, way := range []struct {
		name string
		end  func(w world) error
	}{
		{"revoke the grant", func(w world) error { return f.RevokeGrant(ctx, w.grant.ID, f.now) }},
		{"revoke it by its client", func(w world) error { return f.RevokeByClient(ctx, w.grant.ID, f.now) }},
		{"revoke the session", func(w world) error { return f.RevokeSession(ctx, w.user.ID, w.grant.SessionID, f.now) }},
		{"revoke the user's grants", func(w world) error {
			_, err := f.RevokeUserGrants(ctx, w.user.ID, "", f.now)
			return err
		}},
		{"a new password", func(w world) error {
			return f.SetPassword(ctx, userstore.PasswordChange{UserID: w.user.ID, NewHash: "new-" + w.user.ID, At: f.now})
		}},
		{"disable the user", func(w world) error { return f.SetActive(ctx, w.user.ID, false, f.now) }},
		{"disable the user, and enable it", func(w world) error {
			if err := f.SetActive(ctx, w.user.ID, false, f.now); err != nil {
				return err
			}
			return f.SetActive(ctx, w.user.ID, true, f.now)
		}},
		{"disable the user by an edit", func(w world) error {
			w.user.IsActive = false
			return f.UpdateUser(ctx, w.user)
		}},
		{"delete the user", func(w world) error { return f.DeleteUser(ctx, w.user.ID) }},
		{"recover", func(w world) error { return f.EndAccess(ctx, w.user.ID, f.now) }},
		{"disable the client", func(w world) error { return f.SetClientActive(ctx, w.client.ID, false, f.now) }},
		{"disable the client, and enable it", func(w world) error {
			if err := f.SetClientActive(ctx, w.client.ID, false, f.now); err != nil {
				return err
			}
			return f.SetClientActive(ctx, w.client.ID, true, f.now)
		}},
		{"delete the client", func(w world) error { return f.DeleteClient(ctx, w.client.ID) }},
		{"withdraw the client", func(w world) error { return f.WithdrawClient(ctx, w.client.ID) }},
		{"too many grants", func(w world) error {
			f.now = f.now.Add(time.Second)
			for range userstore.MaxGrantsPerClient {
				f.placed(t, w.user, w.client.ID)
			}
			return nil
		}},
	} {
		w := world{user: f.user(t), client: f.client(t, nil)}
		w.grant = f.placed(t, w.user, w.client.ID)
		other := f.placed(t, f.user(t), f.client(t, nil).ID)
		_, err := f.StatusChanges(ctx, f.now, listSize) // nothing is new
		must(t, err)
		f.isRevoked(t, way.name+", before", w.grant.StatusIndex, false)

		must(t, way.end(w))
		f.isRevoked(t, way.name, w.grant.StatusIndex, true)
		f.isRevoked(t, way.name+", another's", other.StatusIndex, false)
		before, seen := f.now, userstore.EndedPlaces{List: w.grant.StatusIndex / listSize}
		for range 2 { // what was seen once is named for a while
			c, err := f.StatusChanges(ctx, f.now, listSize)
			must(t, err)
			if !slices.Contains(c.Ended, seen) && len(c.Clients) == 0 {
				t.Errorf("%s: no replica hears of it: %+v", way.name, c)
			}
			seen.SeenAt = stored(before)
			f.now = f.now.Add(userstore.StatusWindow / 2)
		}
		f.now = before.Add(2 * userstore.StatusWindow)
		c, err := f.StatusChanges(ctx, f.now, listSize)
		must(t, err)
		if len(c.Ended) > 0 || len(c.Clients) > 0 {
			t.Errorf("%s: named long after: %+v", way.name, c)
		}
		f.isRevoked(t, way.name+", later", w.grant.StatusIndex, true)
	}
}

func placesKept(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, c := f.user(t), f.client(t, nil)
	first, err := f.ReservePlaces(ctx, 10)
	must(t, err)
	if next := f.place(t); next < first+10 || first < 1 {
		t.Errorf("the place %d, after ten from %d", next, first)
	}

	g := f.placed(t, u, c.ID)
	v, err := f.GrantByID(ctx, g.ID)
	must(t, err)
	equal(t, "the place", v.Grant.StatusIndex, g.StatusIndex)
	v, err = f.AdvanceGrant(ctx, f.advance(g))
	must(t, err)
	equal(t, "the place after a refresh", v.Grant.StatusIndex, g.StatusIndex)

	// A grant without a place gets one, once; and another one when its place does not count any more.
	bare := f.grant(t, u)
	for _, step := range []struct{ floor, place, want int64 }{{1, 77, 77}, {1, 78, 77}, {77, 79, 77}, {78, 80, 80}} {
		got, err := f.PlaceGrant(ctx, bare.ID, step.floor, step.place)
		must(t, err)
		equal(t, "the place", got, step.want)
		got, err = f.PlaceClient(ctx, c.ID, step.floor, step.place)
		must(t, err)
		equal(t, "the client's place", got, step.want)
	}
	c, err = f.ClientByID(ctx, c.ID)
	must(t, err)
	equal(t, "the client's place", c.StatusIndex, int64(80))

	must(t, f.SetClientActive(ctx, c.ID, false, f.now))
	f.isRevoked(t, "the client's place", 80, true)
	_, err = f.PlaceClient(ctx, c.ID, 1, 90)
	is(t, err, userstore.ErrNotFound)
	must(t, f.SetClientActive(ctx, c.ID, true, f.now))
	got, err := f.PlaceClient(ctx, c.ID, 1, 91)
	must(t, err)
	equal(t, "the place after the client was enabled again", got, int64(91))
	must(t, f.DeleteClient(ctx, c.ID))
	f.isRevoked(t, "the deleted client's place", 91, true)
	for _, none := range []string{c.ID, "\x00"} {
		_, err = f.PlaceClient(ctx, none, 1, 92)
		is(t, err, userstore.ErrNotFound)
	}
	must(t, f.RevokeGrant(ctx, bare.ID, f.now))
	_, err = f.PlaceGrant(ctx, bare.ID, 1, 93)
	is(t, err, userstore.ErrNotFound)
}

// placesRemoved checks that notes go when no token needs them, and that expired grants leave none.
func placesRemoved(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	short := f.grant(t, u, func(g *userstore.Grant) { g.ExpiresAt, g.StatusIndex = f.now.Add(time.Minute), f.place(t) })
	var ended []userstore.Grant
	for range 5 {
		g := f.placed(t, u, userstore.FirstPartyClientID)
		must(t, f.RevokeGrant(ctx, g.ID, f.now))
		ended = append(ended, g)
	}
	n, err := f.RemoveExpired(ctx, f.now.Add(2*time.Hour), 100)
	must(t, err)
	equal(t, "expired grants", n, 1)
	f.isRevoked(t, "an expired grant", short.StatusIndex, false)

	n, err = f.RemovePlaces(ctx, f.now, 3) // sees them first
	must(t, err)
	equal(t, "notes removed at once", n, 0)
	n, err = f.RemovePlaces(ctx, f.now.Add(userstore.StatusKept-time.Second), 3)
	must(t, err)
	equal(t, "notes removed too early", n, 0)
	for _, want := range []int{3, 2, 0} {
		n, err = f.RemovePlaces(ctx, f.now.Add(userstore.StatusKept), 3)
		must(t, err)
		equal(t, "notes removed", n, want)
	}
	f.isRevoked(t, "a day later", ended[0].StatusIndex, false)
}

// cutoff checks the instant before which every token is revoked.
func (f *fixture) cutoff(t *testing.T, want time.Time) {
	t.Helper()
	c, at, err := f.ClientAndCutoff(t.Context(), userstore.FirstPartyClientID)
	must(t, err)
	same, err := f.ClientByID(t.Context(), userstore.FirstPartyClientID)
	must(t, err)
	equal(t, "the client", c, same)
	equal(t, "the cutoff", at, want)
}

func revokeAll(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, c := f.user(t), f.client(t, nil)
	var others []userstore.Grant // of so many clients that they are not ended at once
	for n := range 501 {
		of := f.client(t, nil)
		if n%250 == 0 {
			others = append(others, f.placed(t, u, of.ID))
		}
	}
	first, second := f.placed(t, u, c.ID), f.placed(t, u, userstore.FirstPartyClientID)
	bare := f.grant(t, u)
	of, err := f.PlaceClient(ctx, c.ID, 1, f.place(t))
	must(t, err)
	f.cutoff(t, time.Time{})
	_, _, err = f.ClientAndCutoff(ctx, "nobody")
	is(t, err, userstore.ErrNotFound)
	event := audit.New(ctx, f.now, audit.GrantsRevoked, audit.Target{})
	must(t, f.RevokeAll(ctx, f.now, event))
	must(t, f.RevokeAll(ctx, f.now.Add(-time.Hour), event)) // an answer that was lost, by an earlier clock
	for _, g := range append(others, first, second, bare) {
		_, err := f.AdvanceGrant(ctx, f.advance(g))
		is(t, err, userstore.ErrConflict)
		v, err := f.GrantByID(ctx, g.ID)
		must(t, err)
		if v.Grant.RevokedAt.IsZero() {
			t.Error("a grant lives on")
		}
		if g.StatusIndex > 0 {
			f.isRevoked(t, "a grant", g.StatusIndex, true)
		}
	}
	f.isRevoked(t, "the client", of, true)
	f.cutoff(t, stored(f.now))
	changes, err := f.StatusChanges(ctx, f.now, listSize)
	must(t, err)
	if changes.CutoffIndex <= second.StatusIndex || !changes.CutoffAt.Equal(stored(f.now)) || len(changes.Clients) > 0 {
		t.Errorf("the changes are %+v", changes)
	}
	after := f.placed(t, u, c.ID)
	f.isRevoked(t, "a login after it", after.StatusIndex, false)
	_, err = f.AdvanceGrant(ctx, f.advance(after))
	must(t, err)
}

// revokePlaces: what a restored store does not know any more is revoked, and given to nobody else.
func revokePlaces(t *testing.T, f *fixture) {
	ctx := t.Context()
	before := f.placed(t, f.user(t), userstore.FirstPartyClientID)
	forgotten := before.StatusIndex + 1000
	for range 2 { // the second one is an answer that was lost
		must(t, f.RevokePlaces(ctx, f.now, 1000))
	}
	f.isRevoked(t, "a place that is given away", before.StatusIndex, true)
	f.isRevoked(t, "a place that was given away before the store was restored", forgotten, true)
	f.cutoff(t, stored(f.now))
	next := f.place(t)
	if next <= forgotten {
		t.Errorf("the place %d is given away again", next)
	}
	f.isRevoked(t, "the next place", next, false)
	// The grants are somebody else's to end.
	_, err := f.AdvanceGrant(ctx, f.advance(before))
	must(t, err)
}
