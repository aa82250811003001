//go:build unix

package sqlstore_test

import (
	"cmp"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// searchedParts are what the names of searchedUsers are made of: what LIKE, FTS5 and pg_trgm read
// otherwise, letters of several widths in UTF-8, and what a plain name has.
var searchedParts = []string{"ann", "anna", "nna", "bob", "a", `ann\`, "%", "_", `\`, `\%`, `'`, `"`, `""`, "*", "(", ")",
	"^", "-", "+", ":", "{", "|", "and", "or", "not", "near", "é", "ё", "жанна", "straße", "İ", "ı", "漢字", "漢",
	"🇩🇪", "👩‍👩", "\u0301", "\u00ad", "\u200d", "\uffff", "\t", " ", "  ",
	"123", "4567", ".", "@", "example", ".test", "x"}

var searchedRoles = []string{"admin", "editor", "edit", "a,b", `a"b`, `back\slash`, "<b>&", "é",
	strings.Repeat("r", 199), strings.Repeat("r", 200),
	strings.Repeat("r", 201), strings.Repeat("é", 300)}

// searchedUsers returns users with such names, several of whom share an instant, in no order.
func searchedUsers(random *rand.Rand, n int) (users []userstore.User) {
	name := func(parts int) string {
		var b strings.Builder
		for range parts {
			b.WriteString(searchedParts[random.IntN(len(searchedParts))])
		}
		return userstore.Folded(b.String())
	}
	for i := range n {
		u := userstore.User{ID: fmt.Sprintf("id-%03d", (i*37)%n),
			EmailKey:  name(1+random.IntN(5)) + fmt.Sprint("@", i, ".test"),
			CreatedAt: now.Add(time.Duration((i*61)%n/4) * time.Second), IsActive: i%5 != 0, PasswordHash: "hash"}
		if i%3 != 0 {
			u.UsernameKey = name(1+random.IntN(4)) + fmt.Sprint("_", i)
		}
		if i == n/2 {
			u.EmailKey = strings.Repeat("long", 240) + "@x.test"
		}
		if i%2 == 0 {
			for range 2 {
				u.Roles = append(u.Roles, searchedRoles[random.IntN(len(searchedRoles))])
			}
			slices.Sort(u.Roles)
			u.Roles = slices.Compact(u.Roles)
		}
		u.Email, u.Username = "E"+u.EmailKey, "U"+u.UsernameKey
		users = append(users, u)
	}
	return users
}

// searches returns queries: parts of the names of users, of every length, and texts that are in
// none.
func searches(random *rand.Rand, users []userstore.User) (all []userstore.UserQuery) {
	texts := slices.Concat(searchedParts, []string{"", "an", "nn", "n@", "ann@", "a%n", "a_n", "ann*", `"ann"`,
		"ann AND bob", "ANN", "Жанна", "STRASSE", "\x00", "a\x00b", "ann\x00", "\xff",
		"ＡＮＮ", "id-007", "ID-007", "id-", "longlonglong", strings.Repeat("long", 240), strings.Repeat("long", 400),
		strings.Repeat("é", 100_000), "\n", "test test", "x.test long"})
	for range 25 {
		u := users[random.IntN(len(users))]
		key := []rune(u.EmailKey)
		if random.IntN(2) == 0 && u.UsernameKey != "" {
			key = []rune(u.UsernameKey)
		}
		from := random.IntN(len(key))
		texts = append(texts, string(key[from:from+1+random.IntN(min(8, len(key)-from))]), string(key))
	}
	for i, text := range texts {
		q := userstore.UserQuery{Text: text}
		all = append(all, q)
		q.State = userstore.State(i % 3)
		if i%4 != 0 {
			q.Role = searchedRoles[i%len(searchedRoles)]
		}
		all = append(all, q)
	}
	for _, role := range append(searchedRoles, "", "nobody's", strings.Repeat("r", 202), "admin\",\"editor") {
		for _, state := range []userstore.State{userstore.AnyState, userstore.Enabled, userstore.Disabled} {
			all = append(all, userstore.UserQuery{Role: role, State: state})
		}
	}
	return all
}

// filter returns what a search means, without any index: see docs/decisions/search.md.
func filter(q userstore.UserQuery) func(userstore.User) bool {
	folded := userstore.Folded(q.Text)
	address, isAddress := userstore.EmailKey(q.Text)
	return func(u userstore.User) bool {
		named := q.Text == "" || u.ID == q.Text || isAddress && u.EmailKey == address ||
			folded != "" && (strings.Contains(u.EmailKey, folded) || strings.Contains(u.UsernameKey, folded))
		return named && (q.Role == "" || slices.Contains(u.Roles, q.Role)) &&
			(q.State == userstore.AnyState || u.IsActive == (q.State == userstore.Enabled))
	}
}

// sameAsFilter compares what a store finds with what a filter finds, in pages of several sizes.
func sameAsFilter(t *testing.T, db *sqlstore.DB, users []userstore.User, queries []userstore.UserQuery) {
	t.Helper()
	sorted := slices.Clone(users)
	slices.SortFunc(sorted, func(a, b userstore.User) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	found := 0
	for i, q := range queries {
		var want []string
		matches := filter(q)
		for _, u := range sorted {
			if matches(u) {
				want = append(want, u.ID)
			}
		}
		found += len(want)
		q.Limit = []int{1000, 1, 7}[i%3]
		if len(want) > 3*q.Limit {
			q.Limit = 50
		}
		var got []string
		for page, err := range userstore.UserPages(t.Context(), db, q) {
			if err != nil {
				t.Fatalf("%+.60v: %v", q, err)
			}
			for _, u := range page.Users {
				got = append(got, u.ID)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("text %.60q, role %.20q, state %v, by %d:\nfound %q,\nwant  %q",
				q.Text, q.Role, q.State, q.Limit, got, want)
		}
	}
	if found < len(queries) {
		t.Errorf("%d queries find %d users: that proves nothing", len(queries), found)
	}
}

// changeSome renames, promotes, disables and deletes users, some of them as an older version of the
// server does, which knows no index.
func changeSome(t *testing.T, db *sqlstore.DB, users []userstore.User) (left []userstore.User) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, u := range users {
		switch i % 8 {
		case 0:
			must(db.DeleteUser(t.Context(), u.ID))
			continue
		case 1, 2:
			u, err := db.UserByID(t.Context(), u.ID)
			must(err)
			u.EmailKey, u.UsernameKey = "re_named"+u.EmailKey, fmt.Sprint("anna%", i, u.UsernameKey)
			u.Roles = []string{searchedRoles[i%len(searchedRoles)]}
			must(db.UpdateUser(t.Context(), u))
			left = append(left, u)
			continue
		case 3:
			must(db.SetActive(t.Context(), u.ID, !u.IsActive, now))
			u.IsActive = !u.IsActive
		case 4:
			u.Roles, u.IsActive = nil, false
			must(sqlstore.Exec(t.Context(), db, `UPDATE users SET roles = '[]', is_active = 1 = 0 WHERE id = '`+u.ID+`'`))
		case 5:
			u.EmailKey = fmt.Sprint("raw", i, "@жанна.test")
			must(sqlstore.Exec(t.Context(), db, `UPDATE users SET email_key = '`+u.EmailKey+`' WHERE id = '`+u.ID+`'`))
		}
		left = append(left, u)
	}
	return left
}

// withLetters returns an empty PostgreSQL database that takes what this locale takes for letters.
func withLetters(tb testing.TB, locale string) string {
	tb.Helper()
	u, err := url.Parse(pgtest.URL(tb))
	if err != nil {
		tb.Fatal(err)
	}
	owner, name := u.String(), "letters_"+strings.ToLower(crand.Text())
	psql(tb, session(tb, owner),
		`CREATE DATABASE `+name+` TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE '`+locale+`'`)
	tb.Cleanup(func() { psql(tb, session(tb, owner), `DROP DATABASE `+name+` WITH (FORCE)`) })
	u.Path = "/" + name
	return u.String()
}

// S-04: whatever is searched for, and whatever serves the search, it finds what a filter of all
// users finds, in the list's order.
func TestASearchFindsWhatAFilterFinds(t *testing.T) {
	t.Parallel()
	trigrams := func(t *testing.T, db *sqlstore.DB, want bool) {
		t.Helper()
		if got, err := db.UserSearch(t.Context()); err != nil || got != want {
			t.Fatalf("trigrams: %t, %v", got, err)
		}
	}
	for name, test := range map[string]struct {
		url   func(testing.TB) string
		begin func(t *testing.T, db *sqlstore.DB)
	}{
		"sqlite": {sqltest.SQLitePath, func(t *testing.T, db *sqlstore.DB) { indexNames(t, db); trigrams(t, db, true) }},
		"sqlite, new users not indexed yet": {sqltest.SQLitePath, func(t *testing.T, db *sqlstore.DB) {
			if n, err := db.IndexNames(t.Context(), 100); err != nil || n != 100 {
				t.Fatal(n, err)
			}
			trigrams(t, db, true)
		}},
		"sqlite, users of before not indexed yet": {sqltest.SQLitePath, func(t *testing.T, db *sqlstore.DB) {
			for _, s := range []string{
				`DELETE FROM search_todo`, `DELETE FROM search_roles`, `INSERT INTO search_before (upto) VALUES ('')`,
			} {
				if err := sqlstore.Exec(t.Context(), db, s); err != nil {
					t.Fatal(err)
				}
			}
			trigrams(t, db, false)
		}},
		"postgres": {sqltest.PostgresURL, func(t *testing.T, db *sqlstore.DB) { trigrams(t, db, true) }},
		"postgres without pg_trgm": {sqltest.PostgresURL, func(t *testing.T, db *sqlstore.DB) {
			if err := sqlstore.Exec(t.Context(), db, `DROP EXTENSION pg_trgm CASCADE`); err != nil {
				t.Fatal(err)
			}
			trigrams(t, db, false)
		}},
		"postgres whose letters are ASCII": {func(tb testing.TB) string { return withLetters(tb, "C") },
			func(t *testing.T, db *sqlstore.DB) { trigrams(t, db, true) }},
		"postgres whose letters are those of Unicode": {func(tb testing.TB) string { return withLetters(tb, "C.UTF-8") },
			func(t *testing.T, db *sqlstore.DB) { trigrams(t, db, true) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, test.url(t), sqlstore.Options{})
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(20, 26))
			users := searchedUsers(random, 240)
			for _, u := range users {
				if err := db.CreateUser(t.Context(), u); err != nil {
					t.Fatal(err)
				}
			}
			test.begin(t, db)
			queries := searches(random, users)
			share := func(n int) (some []userstore.UserQuery) {
				for i := n; i < len(queries); i += 3 {
					some = append(some, queries[i])
				}
				return some
			}
			sameAsFilter(t, db, users, share(0))
			for n, bounds := range [][3]int64{{1, 1, 1}, {5, 3, 40}} { // so that each step has something to do
				sqlstore.Bounds(db, bounds[0], bounds[1], bounds[2])
				sameAsFilter(t, db, users, share(n))
			}
			sqlstore.Patience(db, 0)
			sameAsFilter(t, db, users, share(2))
			sqlstore.Patience(db, time.Hour)
			left := changeSome(t, db, users)
			queries = searches(random, left)
			sameAsFilter(t, db, left, share(0))
			sqlstore.Bounds(db, 3, 1000, 1000)
			indexNames(t, db)
			sameAsFilter(t, db, left, share(1))
		})
	}
}

// A search that no index serves gives up when the patience is over, and says where to go on.
func TestASearchGivesUpInTime(t *testing.T) {
	t.Parallel()
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		var last userstore.User
		for i := range 50 {
			last = newUser()
			last.CreatedAt = now.Add(time.Duration(i) * time.Second)
			last.IsActive = i == 49
			if last.IsActive {
				last.EmailKey = "ゆき@x.test"
			}
			if err := db.CreateUser(t.Context(), last); err != nil {
				t.Fatal(err)
			}
		}
		sqlstore.Bounds(db, 5, 1000, 10)
		for _, q := range []userstore.UserQuery{{Text: "ゆき"}, {State: userstore.Enabled}} {
			q.Limit = 10
			for patience, want := range map[time.Duration]int{0: 4, time.Hour: 1} { // 15 of 50 at a time, or all of them
				sqlstore.Patience(db, patience)
				pages, found := 0, []string(nil)
				for page, err := range userstore.UserPages(t.Context(), db, q) {
					if err != nil {
						t.Fatal(err)
					}
					for _, u := range page.Users {
						found = append(found, u.ID)
					}
					pages++
				}
				if pages != want || !slices.Equal(found, []string{last.ID}) {
					t.Errorf("%+v, patience of %s: %d pages with %q", q, patience, pages, found)
				}
				if all, err := userstore.FullPage(t.Context(), db, q); err != nil || len(all) != 1 {
					t.Errorf("%+v, patience of %s, a full page: %d users, %v", q, patience, len(all), err)
				}
			}
		}
	})
}

// F-34: users of before the index are indexed behind the migration, in small steps; one that was
// interrupted goes on.
func TestF34UsersOfBeforeAreIndexed(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, url string) {
		db := open(t, url, sqlstore.Options{})
		if err := sqlstore.MigrateTo(t.Context(), db, 19); err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(3, 4))
		users := searchedUsers(random, 120)
		for _, u := range users[:90] {
			if err := db.CreateUser(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}
		if err := sqlstore.MigrateTo(t.Context(), db, 20); err != nil {
			t.Fatal(err)
		}
		if got, err := db.UserSearch(t.Context()); err != nil || got {
			t.Fatalf("before they are indexed: %t, %v", got, err)
		}
		// The index is not complete, and a server goes on.
		for _, u := range users[90:] {
			if err := db.CreateUser(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}
		queries := searches(random, users)[:60]
		sameAsFilter(t, db, users, queries)
		if n, err := db.IndexNames(t.Context(), 40); err != nil || db.Engine() == "sqlite" && n != 40 {
			t.Errorf("%d, %v", n, err)
		}
		sameAsFilter(t, db, users, queries) // as if it had been interrupted
		for range 2 {
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			indexNames(t, db)
			if got, err := db.UserSearch(t.Context()); err != nil || !got {
				t.Errorf("after they are indexed: %t, %v", got, err)
			}
			if got, err := sqlstore.SearchesRoles(t.Context(), db); err != nil || !got {
				t.Errorf("roles: %t, %v", got, err)
			}
			sameAsFilter(t, db, users, queries)
		}
	})
}

// A role that may not make pg_trgm migrates without it, is told so, and gets the index by the next
// migration after an administrator has made it.
func TestWithoutPgTrgm(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	admin, role := session(t, u.String()), "signet_test_"+strings.ToLower(crand.Text())
	psql(t, admin, `CREATE ROLE `+role+` LOGIN PASSWORD 'secret'`, `GRANT CREATE ON SCHEMA public TO `+role)
	t.Cleanup(func() { psql(t, session(t, u.String()), `DROP OWNED BY `+role+` CASCADE`, `DROP ROLE `+role) })
	as := *u
	as.User = url.UserPassword(role, "secret")
	var said waiting
	db := open(t, as.String(), sqlstore.Options{Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := db.UserSearch(t.Context()); err != nil || got {
		t.Errorf("trigrams: %t, %v", got, err)
	}
	if !strings.Contains(said.String(), "CREATE EXTENSION pg_trgm") {
		t.Errorf("the log does not say what to do:\n%s", &said)
	}
	psql(t, admin, `CREATE SCHEMA elsewhere`, `GRANT USAGE ON SCHEMA elsewhere TO `+role,
		`CREATE EXTENSION pg_trgm SCHEMA elsewhere`)
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := db.UserSearch(t.Context()); err != nil || !got {
		t.Errorf("with it, trigrams: %t, %v", got, err)
	}
}

// A server of the version before may have a role with rights on the tables of that version alone.
// What the triggers write into new tables is written all the same.
func TestTheTriggersOfSearchesNeedNoRights(t *testing.T) {
	t.Parallel()
	owner := sqltest.PostgresURL(t)
	admin, role := session(t, owner), "signet_test_"+strings.ToLower(crand.Text())
	psql(t, admin, `CREATE ROLE `+role+` LOGIN PASSWORD 'secret'`,
		`GRANT SELECT, INSERT, UPDATE, DELETE ON users TO `+role)
	t.Cleanup(func() { psql(t, session(t, owner), `DROP OWNED BY `+role+` CASCADE`, `DROP ROLE `+role) })
	u, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "secret")
	listed := func() int64 { return one[int64](t, admin, `SELECT COUNT(*) FROM search_roles WHERE user_id = 'grace'`) }
	before := session(t, u.String())
	psql(t, before, `INSERT INTO users
		SELECT 'grace', 'g', 'g', TRUE, '', '', '{}', '["editor"]', FALSE, FALSE, 1, 1, 1, 0, '', 'h'`)
	if n := listed(); n != 2 { // once more, because she is disabled
		t.Errorf("%d rows of a new user", n)
	}
	psql(t, before, `UPDATE users SET roles = '["editor","auditor"]', is_active = TRUE WHERE id = 'grace'`)
	if n := listed(); n != 2 {
		t.Errorf("%d rows of a user with two roles", n)
	}
	psql(t, before, `DELETE FROM users WHERE id = 'grace'`)
	if n := listed(); n != 0 {
		t.Errorf("%d rows of a user who is gone", n)
	}
	// The function has its owner's rights, which no other table may lend.
	psql(t, before, `CREATE TEMPORARY TABLE own (id TEXT, roles TEXT, is_active BOOLEAN, created_at BIGINT)`)
	_, err = before.Exec(t.Context(), `CREATE TRIGGER own AFTER INSERT ON own FOR EACH ROW EXECUTE FUNCTION search_user_roles()`)
	if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "42501" {
		t.Errorf("another role makes a trigger of it: %v", err)
	}
}
