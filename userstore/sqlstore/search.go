package sqlstore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What finds users by a part of their names, and by their roles: docs/decisions/search.md. It is
// all made from the table users, by triggers and by IndexNames, and so it is neither copied nor
// recovered.

// searchIndexes are the indexes that a database has for searches.
type searchIndexes struct {
	trigrams bool  // of names
	beyond   bool  // the trigrams hold letters beyond ASCII
	roles    bool  // search_roles is complete
	users    int64 // about how many users there are; 0: unknown
}

// The statements of the engines that read searchIndexes.
const (
	// postgresSearch: an index that is still being built, or was left behind, does not count.
	// pg_trgm takes no letter beyond ASCII for a letter where the database's LC_CTYPE is C.
	postgresSearch = `SELECT
		(SELECT COUNT(*) FROM pg_index i WHERE i.indexrelid = to_regclass('users_names') AND i.indisvalid) > 0,
		(SELECT datctype FROM pg_database WHERE datname = current_database()) NOT IN ('C', 'POSIX'), TRUE,
		(SELECT CAST(GREATEST(c.reltuples, 0) AS BIGINT) FROM pg_class c WHERE c.oid = to_regclass('users'))`
	// sqliteSearch: search_before has a row while users of before the index are not indexed yet.
	sqliteSearch = `SELECT (SELECT COUNT(*) FROM (SELECT user_id FROM search_todo LIMIT 5000) AS t) < 5000
			AND NOT EXISTS (SELECT 1 FROM search_before), TRUE,
		NOT EXISTS (SELECT 1 FROM search_before), COALESCE((SELECT MAX(n) FROM search_names), 0)`
)

func (db named) searchIndexes(ctx context.Context) (has searchIndexes, err error) {
	err = db.one(ctx, bind(db.dialect.search), func(s scanner) error {
		return s.Scan(&has.trigrams, &has.beyond, &has.roles, &has.users)
	})
	return has, err
}

// indexedRole is how much of a role search_roles holds: a key of an index must not be long.
func indexedRole(role string) string {
	runes := 0
	for i := range role {
		if runes == 200 {
			return role[:i]
		}
		runes++
	}
	return role
}

// namesText is what PostgreSQL's index of trigrams holds of a user: both names as one text.
const namesText = `(u.email_key || ' ' || u.username_key)`

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// found is how an engine finds the users whose names hold a text.
type found struct {
	// match is the rest of SELECT … FROM, a WHERE clause included, for such users u.
	match condition
	names int64 // about how many there are, or more; 0: unknown
}

const (
	// triedTrigrams is how many trigrams of a text are counted, to look for the rarest of them.
	triedTrigrams = 16
	// usedTrigrams is how many are looked for. Each row that has them is compared with the text;
	// more trigrams would hardly leave fewer rows, and the list of each is read.
	usedTrigrams = 4
	// sampledNames is about how many users' names tell which trigrams are rare.
	sampledNames = 1000
)

// byTrigramsPostgres finds users by pg_trgm, which would read the lists of all trigrams of the
// text, also of one that half of the users have. So it is asked for those that leave the fewest
// users, by a sample of the names.
func byTrigramsPostgres(ctx context.Context, db named, s *userSearch) (f found, err error) {
	parts := []string{s.folded}
	if s.has.users >= db.dialect.bounds.sampled {
		some := sample{grams: thinned(trigramsIn(s.folded, s.has), triedTrigrams)}
		err = db.rows(ctx, bind(`SELECT u.email_key, u.username_key
			FROM users u TABLESAMPLE SYSTEM (LEAST(100, 100.0 * $1 / GREATEST($2, 1))) REPEATABLE (1)`,
			int64(sampledNames), s.has.users), func() { some.have, f.names = nil, 0 }, func(row scanner) error {
			var email, username string
			err := row.Scan(&email, &username)
			some.add(email, username)
			if strings.Contains(email, s.folded) || strings.Contains(username, s.folded) {
				f.names += s.has.users / sampledNames
			}
			return err
		})
		if err != nil {
			return found{}, err
		}
		parts = some.best()
	}
	f.match.sql = `users u WHERE `
	for _, part := range parts {
		f.match.sql += namesText + ` LIKE $ AND `
		f.match.args = append(f.match.args, `%`+likeEscaper.Replace(part)+`%`)
	}
	f.match.sql += `(` + namesHold + `)`
	f.match.args = append(f.match.args, s.folded, s.folded)
	return f, nil
}

// sample says of some users which of the trigrams of a text each has in the names.
type sample struct {
	grams []string
	have  []uint32 // a bit for each trigram
}

func (s *sample) add(email, username string) {
	var have uint32
	for i, g := range s.grams {
		if strings.Contains(email, g) || strings.Contains(username, g) {
			have |= 1 << i
		}
	}
	s.have = append(s.have, have)
}

// best returns the trigrams to ask for: first the rarest, then each that leaves the fewest users
// who have all of them, as long as its list is worth them.
func (s *sample) best() (best []string) {
	const (
		dear = 100 // so many entries of a list are read in the time in which a user's row is
		few  = 50  // users with a trigram whose list is short anyway
	)
	left := s.have
	for len(best) < min(usedTrigrams, len(s.grams)) {
		next, nextHave := -1, 0
		for i, g := range s.grams {
			if have := having(left, i); !slices.Contains(best, g) && (next < 0 || have < nextHave ||
				have == nextHave && having(s.have, i) < having(s.have, next)) {
				next, nextHave = i, have
			}
		}
		if next < 0 || len(best) > 0 && having(s.have, next) > max((len(left)-nextHave)*dear, few) {
			break
		}
		best = append(best, s.grams[next])
		left = slices.DeleteFunc(slices.Clone(left), func(have uint32) bool { return have&(1<<next) == 0 })
	}
	return best
}

func having(some []uint32, gram int) (n int) {
	for _, have := range some {
		n += int(have >> gram & 1)
	}
	return n
}

// trigramsIn returns the parts of a text, of three characters, of which pg_trgm has a trigram: they
// hold two letters or digits in a row. Any other character stands for the end of a word there.
func trigramsIn(text string, has searchIndexes) (grams []string) {
	runes := []rune(text)
	word := func(r rune) bool {
		return (r < utf8.RuneSelf || has.beyond) && (unicode.IsLetter(r) || unicode.IsDigit(r))
	}
	for i := range len(runes) - 2 {
		if word(runes[i+1]) && (word(runes[i]) || word(runes[i+2])) {
			grams = append(grams, string(runes[i:i+3]))
		}
	}
	return grams
}

// hasTrigramsPostgres: pg_trgm would read its whole index for a text without trigrams.
func hasTrigramsPostgres(text string, has searchIndexes) bool { return len(trigramsIn(text, has)) > 0 }

func hasTrigramsSQLite(text string, _ searchIndexes) bool { return utf8.RuneCountInString(text) >= 3 }

// byTrigramsSQLite finds users by FTS5, which reads the lists of all trigrams that it is asked for:
// so it is asked for the rarest. The index holds no places of trigrams (detail=none), so that the
// rows are those which have all of them, in whatever order.
func byTrigramsSQLite(ctx context.Context, db named, s *userSearch) (found, error) {
	runes, all, counts := []rune(s.folded), []string(nil), make(map[string]int64)
	for i := range len(runes) - 2 {
		all = append(all, `"`+strings.ReplaceAll(string(runes[i:i+3]), `"`, `""`)+`"`)
	}
	for _, g := range thinned(all, triedTrigrams) {
		n, err := db.usersWith(ctx, g, s.has.users)
		if err != nil {
			return found{}, err
		}
		counts[g] = n
	}
	used := rarest(counts)
	return found{condition{
		`search_grams g CROSS JOIN search_names m CROSS JOIN users u
		WHERE g.search_grams MATCH $ AND m.n = g._rowid_ AND u.id = m.user_id AND (` + namesHold + `)`,
		[]any{strings.Join(used, ` AND `), s.folded, s.folded},
	}, counts[used[0]]}, nil
}

// usersWith estimates how many of so many users have a trigram in their names: it reads the
// beginning of the trigram's list.
func (db named) usersWith(ctx context.Context, gram string, users int64) (n int64, err error) {
	const most = 200
	var last int64
	err = db.one(ctx, bind(`SELECT COUNT(*), COALESCE(MAX(n), 1)
		FROM (SELECT g._rowid_ AS n FROM search_grams g WHERE g.search_grams MATCH $1 LIMIT $2) AS t`, gram, int64(most)),
		func(s scanner) error { return s.Scan(&n, &last) })
	if n == most {
		n = max(n, n*users/last)
	}
	return n, err
}

// thinned returns at most so many of some trigrams, from the first to the last.
func thinned(grams []string, most int) []string {
	if len(grams) <= most {
		return grams
	}
	some := make([]string, most)
	for i := range some {
		some[i] = grams[i*(len(grams)-1)/(most-1)]
	}
	return some
}

// rarest returns the rarest of some counted trigrams, the very rarest first. A further one is not
// worth its list if that takes longer than the rows of the very rarest.
func rarest(counts map[string]int64) []string {
	const dear = 200 // so many entries of a list are read in the time in which a row is
	all := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[a], counts[b]), strings.Compare(a, b))
	})
	n := 1
	for n < min(len(all), usedTrigrams) && counts[all[n]] <= dear*counts[all[0]] {
		n++
	}
	return all[:n]
}

// UserSearch says how the database finds users by a part of their names: whether by trigrams, or
// else by walking along the list, which takes the longer the more users there are.
func (db *DB) UserSearch(ctx context.Context) (trigrams bool, err error) {
	has, err := db.as("UserSearch").searchIndexes(ctx)
	return has.trigrams, err
}
