//go:build unix

package sqlstore_test

import (
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// When very many places end at once, as in a recovery, each call tells of few lists and gives some of the
// places their time, so that no call takes long. All of them are named until they have it.
func TestManyPlacesThatEndAtOnce(t *testing.T) {
	t.Parallel()
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		const all, size = 25_000, 20_000
		if err := sqlstore.Exec(t.Context(), db, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
			INSERT INTO status_ended (status_index) SELECT i FROM n`); err != nil {
			t.Fatal(err)
		}
		for call := range 4 {
			c, err := db.StatusChanges(t.Context(), now.Add(time.Duration(call)*time.Second), size)
			if err != nil {
				t.Fatal(err)
			}
			var unseen []int64
			for _, e := range c.Ended {
				if e.SeenAt.IsZero() {
					unseen = append(unseen, e.List)
				}
			}
			if len(c.Ended) > 8 || (len(unseen) > 0) != (call < 3) {
				t.Errorf("call %d names %d parts of lists, of which %d were not seen", call, len(c.Ended), len(unseen))
			}
			if slices.Sort(unseen); call == 0 && !slices.Equal(unseen, []int64{0, 1}) {
				t.Errorf("the lists %d are named", unseen)
			}
		}
		removed := 0
		for {
			n, err := db.RemovePlaces(t.Context(), now.Add(userstore.StatusKept+time.Minute), 7_000)
			if err != nil {
				t.Fatal(err)
			}
			if removed += n; n < 7_000 {
				break
			}
		}
		if removed != all {
			t.Errorf("%d notes were removed", removed)
		}
	})
}

// A copy knows which places are given away and which are revoked, and its triggers note what ends there.
func TestACopyKnowsWhatIsRevoked(t *testing.T) {
	t.Parallel()
	path, url := sqltest.SQLitePath(t), pgtest.URL(t)
	from, to := open(t, path, sqlstore.Options{}), open(t, url, sqlstore.Options{})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var grants []userstore.Grant
	for range 5 {
		u, g := create(t, from)
		place, err := from.ReservePlaces(ctx, 3)
		must(err)
		g.StatusIndex, err = from.PlaceGrant(ctx, g.ID, 1, place)
		must(err)
		g.UserID = u.ID
		grants = append(grants, g)
	}
	must(from.CreateClient(ctx, userstore.Client{ID: "app"}))
	place, err := from.ReservePlaces(ctx, 1)
	must(err)
	_, err = from.PlaceClient(ctx, "app", 1, place)
	must(err)
	must(from.RevokeGrant(ctx, grants[0].ID, now))
	must(from.DeleteUser(ctx, grants[1].UserID))
	must(from.SetClientActive(ctx, "app", false, now))
	ended := []int64{grants[0].StatusIndex, grants[1].StatusIndex, place}
	is := func(what string, db *sqlstore.DB, want ...int64) {
		t.Helper()
		p, err := db.RevokedPlaces(ctx, 0, 1000)
		must(err)
		if slices.Sort(p.Ended); !slices.Equal(slices.Compact(p.Ended), want) {
			t.Errorf("%s: the places %d are revoked, want %d", what, p.Ended, want)
		}
	}
	is("the source", from, ended...)
	_, err = from.CopyTo(ctx, to, sqlstore.CopyOptions{Batch: 2})
	must(err)
	is("the copy", to, ended...)
	for _, db := range []*sqlstore.DB{from, to} {
		next, err := db.ReservePlaces(ctx, 1)
		if must(err); next != place+1 {
			t.Errorf("the next place is %d, want %d", next, place+1)
		}
	}
	// What ends in the copy.
	must(to.RevokeGrant(ctx, grants[2].ID, now))
	must(to.DeleteUser(ctx, grants[3].UserID))
	is("the copy in service", to, grants[0].StatusIndex, grants[1].StatusIndex, grants[2].StatusIndex, grants[3].StatusIndex, place)
	must(to.SetClientActive(ctx, userstore.FirstPartyClientID, false, now))
	is("the copy without a client", to, grants[0].StatusIndex, grants[1].StatusIndex, grants[2].StatusIndex, grants[3].StatusIndex,
		grants[4].StatusIndex, place)
	is("the source", from, ended...)
	if n := one[int](t, session(t, url), `SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'status%' AND tgenabled = 'O'`); n != 4 {
		t.Errorf("%d triggers, want 4", n)
	}
}
