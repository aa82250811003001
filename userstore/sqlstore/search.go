package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What finds users by a part of their names, and by their roles: docs/decisions/search.md. It is all
// made from the table users, by triggers and by tendSearch, and so it is neither copied nor recovered.

// searchIndexes are the indexes that a database has for searches.
type searchIndexes struct {
	trigrams bool // of names
	beyond   bool // the trigrams hold letters beyond ASCII
	roles    bool // search_roles is complete
}

// The statements of the engines that read searchIndexes.
const (
	// postgresSearch: an index that is still being built, or was left behind, does not count. pg_trgm
	// takes no letter beyond ASCII for a letter where the database's LC_CTYPE is C.
	postgresSearch = `SELECT (SELECT COUNT(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE i.indexrelid = to_regclass('users_names') AND i.indisvalid) > 0,
		(SELECT datctype FROM pg_database WHERE datname = current_database()) NOT IN ('C', 'POSIX'), TRUE`
	// sqliteSearch: the row without an id stands for users of before, who are not indexed yet; see
	// tendSearch.
	sqliteSearch = `SELECT (SELECT COUNT(*) FROM (SELECT user_id FROM search_todo LIMIT 5000) AS t) < 5000
			AND NOT EXISTS (SELECT 1 FROM search_todo WHERE user_id = ''), TRUE,
		NOT EXISTS (SELECT 1 FROM search_todo WHERE user_id = '')`
)

func (db named) searchIndexes(ctx context.Context) (has searchIndexes, err error) {
	err = db.one(ctx, bind(db.dialect.search), func(s scanner) error {
		return s.Scan(&has.trigrams, &has.beyond, &has.roles)
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

// byTrigramsPostgres finds users by pg_trgm.
func byTrigramsPostgres(text string) condition {
	pattern := `%` + likeEscaper.Replace(text) + `%`
	return condition{`users u WHERE (u.email_key LIKE $ OR u.username_key LIKE $)`, []any{pattern, pattern}}
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// hasTrigramsPostgres reports whether a text has three letters or digits in a row. pg_trgm has no other
// trigrams within a text, and would read its whole index for any other.
func hasTrigramsPostgres(text string, has searchIndexes) bool {
	run := 0
	for _, r := range text {
		if r >= utf8.RuneSelf && !has.beyond || !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			run = 0
			continue
		}
		if run++; run == 3 {
			return true
		}
	}
	return false
}

// mostTrigrams is how many trigrams of a text SQLite looks for. Each row that has them is compared with
// the text; more trigrams would hardly leave fewer rows.
const mostTrigrams = 16

// byTrigramsSQLite finds users by FTS5. The index holds no places of trigrams (detail=none), so that the
// rows are those which have all of them, in whatever order.
func byTrigramsSQLite(text string) condition {
	runes := []rune(text)
	last := len(runes) - 3
	n := min(last+1, mostTrigrams)
	var match strings.Builder
	for i := range n {
		at := 0
		if n > 1 {
			at = i * last / (n - 1)
		}
		if i > 0 {
			match.WriteString(` AND `)
		}
		fmt.Fprintf(&match, `"%s"`, strings.ReplaceAll(string(runes[at:at+3]), `"`, `""`))
	}
	return condition{`search_grams g CROSS JOIN search_names m CROSS JOIN users u
		WHERE g.search_grams MATCH $ AND m.n = g._rowid_ AND u.id = m.user_id AND (` + namesHold + `)`, []any{match.String(), text, text}}
}

func hasTrigramsSQLite(text string, _ searchIndexes) bool { return utf8.RuneCountInString(text) >= 3 }

// UserSearch says how the database finds users by a part of their names: whether by trigrams, or else by
// walking along the list, which takes the longer the more users there are.
func (db *DB) UserSearch(ctx context.Context) (trigrams bool, err error) {
	has, err := db.as("UserSearch").searchIndexes(ctx)
	return has.trigrams, err
}

// The statements that index the next users of search_todo, in one transaction. A user's number in the
// index is its row in search_names: the row's own number in users may change with VACUUM.
const (
	numberTodo = `INSERT INTO search_names (user_id)
		SELECT t.user_id FROM search_todo t JOIN users u ON u.id = t.user_id ORDER BY t.user_id LIMIT $1 ON CONFLICT DO NOTHING`
	indexTodo = `INSERT INTO search_grams (_rowid_, names) SELECT m.n, u.email_key || ' ' || u.username_key
		FROM (SELECT t.user_id FROM search_todo t JOIN users u ON u.id = t.user_id ORDER BY t.user_id LIMIT $1) AS t
		CROSS JOIN search_names m CROSS JOIN users u WHERE m.user_id = t.user_id AND u.id = t.user_id`
	endTodo = `DELETE FROM search_todo WHERE user_id IN
		(SELECT t.user_id FROM search_todo t JOIN users u ON u.id = t.user_id ORDER BY t.user_id LIMIT $1)`
)

// IndexNames indexes the names of at most limit new users, and returns of how many. Until then a search
// reads them one by one. On PostgreSQL, which does so by itself, it does nothing.
func (db *DB) IndexNames(ctx context.Context, limit int) (int, error) {
	if db.dialect.notYet == "" {
		return 0, nil
	}
	n, err := db.as("IndexNames").batch(ctx, true, bind(numberTodo, int64(limit)), bind(indexTodo, int64(limit)),
		bind(endTodo, int64(limit)))
	if err != nil {
		return 0, err
	}
	return int(n[2]), nil
}
