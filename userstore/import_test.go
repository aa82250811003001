package userstore_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

const djangoHash = "pbkdf2_sha256$1000$seasalt$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

func TestImport(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		there := w.alice(t)
		joined := time.Date(2012, 1, 2, 9, 4, 5, 678901234, time.FixedZone("", 5*3600+45*60))
		full := userstore.User{ID: "0190a8a4-6d1f-7c3e-9b8a-5f4e3d2c1b0a", Email: " Bob@X.test", Username: "Bob",
			EmailVerified: true, PasswordHash: djangoHash,
			Claims: userstore.Claims{GivenName: "Bob", PhoneNumber: "+14255551212", PhoneNumberVerified: true,
				Address: &userstore.Address{Country: "NZ"}},
			IsStaff: true, Roles: []string{"editor", "admin", "editor"}, CreatedAt: joined, UpdatedAt: joined.Add(time.Hour),
			LastLoginAt: joined.Add(time.Minute)}
		batch := []userstore.User{
			full,
			{Email: "carol@x.test", PasswordHash: "!u6gGbGQYBqsOqz5WjwVgOGbUQWwpFUyUQhe0TjuZ", IsActive: true},
			{Email: "ALICE@x.test", Username: "alice", PasswordHash: djangoHash},           // there, under another spelling
			{Email: "alice@x.test", Username: "somebody", PasswordHash: djangoHash},        // another account's address
			{Email: "other@x.test", Username: "ALICE", PasswordHash: djangoHash},           // another account's username
			{ID: there.ID, Email: "third@x.test"},                                          // another account's id
			{ID: "somebodyelsesid-00000000", Email: there.Email, Username: there.Username}, // alice, but under another id
			{Email: "bob@x.test", Username: "BOB"},                                         // the first one of this batch
			{Email: "dave@x.test", PasswordHash: "plaintext"},
			{Email: "dave@x.test", PasswordHash: "$2b$31$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"},
			{Email: "", ID: "17", Username: "-x", Roles: []string{"Big Boss"},
				CreatedAt: time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC), LastLoginAt: w.now.Add(48 * time.Hour)},
		}
		want := []string{"made", "made", "there", "email", "username", "id", "email", "there",
			"password_hash invalid", "password_hash not_allowed",
			"sub invalid, email required, preferred_username invalid, roles invalid, created_at invalid, last_login_at invalid"}
		outcome := func(done []userstore.Imported) (list []string) {
			for _, d := range done {
				var exists *userstore.ExistsError
				switch {
				case errors.As(d.Err, &exists):
					list = append(list, exists.Field)
				case d.Err != nil:
					list = append(list, strings.Join(fields(t, d.Err), ", "))
				case d.Existed:
					list = append(list, "there")
				default:
					list = append(list, "made")
				}
			}
			return list
		}
		run := func(dry bool) []userstore.Imported {
			done, err := (&userstore.Importer{Accounts: w.Accounts, DryRun: dry, Strict: true}).Import(t.Context(), batch, nil)
			if err != nil {
				t.Fatal(err)
			}
			return done
		}
		if got := outcome(run(true)); !slices.Equal(got, want) {
			t.Errorf("dry run:\n got %q\nwant %q", got, want)
		}
		if all, err := userstore.FullPage(t.Context(), w.Store, userstore.UserQuery{Limit: 10}); err != nil || len(all) != 1 {
			t.Fatalf("a dry run left %d accounts, %v", len(all), err)
		}
		done := run(false)
		if got := outcome(done); !slices.Equal(got, want) {
			t.Errorf("import:\n got %q\nwant %q", got, want)
		}

		bob := full
		bob.Email, bob.EmailKey, bob.UsernameKey, bob.Roles, bob.Version = "Bob@X.test", "bob@x.test", "bob",
			[]string{"admin", "editor"}, 1
		for _, at := range []*time.Time{&bob.CreatedAt, &bob.UpdatedAt, &bob.LastLoginAt} {
			*at = at.UTC().Truncate(time.Microsecond)
		}
		if got := w.read(t, full.ID); !reflect.DeepEqual(got, bob) {
			t.Errorf("stored\n%+v\nwant\n%+v", got, bob)
		}
		if got := done[0].User; !reflect.DeepEqual(got, bob) {
			t.Errorf("answered\n%+v\nwant\n%+v", got, bob)
		}
		carol := w.read(t, done[1].User.ID)
		if carol.PasswordHash != "" || !carol.IsActive || !carol.CreatedAt.Equal(w.now) || !carol.LastLoginAt.IsZero() ||
			len(carol.ID) != 22 {
			t.Errorf("stored %+v", carol)
		}
		if got := w.read(t, there.ID); !reflect.DeepEqual(got, there) {
			t.Errorf("an account that was there became %+v", got)
		}

		// Run again, as after a crash: the accounts exist and stay as they are.
		want[0], want[1] = "there", "there"
		for _, dry := range []bool{true, false} {
			if got := outcome(run(dry)); !slices.Equal(got, want) {
				t.Errorf("again, dry %v:\n got %q\nwant %q", dry, got, want)
			}
		}
		if all, err := userstore.FullPage(t.Context(), w.Store, userstore.UserQuery{Limit: 10}); err != nil || len(all) != 3 {
			t.Errorf("%d accounts, %v", len(all), err)
		}
	})
}

// A dry run remembers the accounts that its earlier batches would have created.
func TestDryRunOverSeveralBatches(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		i := &userstore.Importer{Accounts: w.Accounts, DryRun: true}
		for n, c := range []struct {
			u    userstore.User
			want error
			same bool
		}{
			{userstore.User{Email: "a@x.test", Username: "a"}, nil, false},
			{userstore.User{Email: "A@x.test", Username: "A"}, nil, true},
			{userstore.User{Email: "b@x.test", Username: "a"}, &userstore.ExistsError{Field: "username"}, false},
			{userstore.User{Email: "a@x.test"}, &userstore.ExistsError{Field: "email"}, false},
			{userstore.User{Email: "b@x.test"}, nil, false},
			{userstore.User{Email: "c@x.test"}, nil, false},
		} {
			done, err := i.Import(t.Context(), []userstore.User{c.u}, nil)
			if err != nil || !reflect.DeepEqual(done[0].Err, c.want) || done[0].Existed != c.same {
				t.Errorf("batch %d: %v, %+v", n, err, done[0])
			}
		}
	})
}
