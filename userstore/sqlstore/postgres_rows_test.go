//go:build unix

package sqlstore_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// Our own way to read a row and pgx's give the same values, in every form in which PostgreSQL sends
// them.
func TestRowsAreReadAsByPgx(t *testing.T) {
	t.Parallel()
	conn := session(t, sqltest.PostgresURL(t))
	type values struct {
		text, empty, long string
		least, most       int64
		yes, no           bool
		bytes, none       []byte
	}
	dest := func(v *values) []any {
		return []any{&v.text, &v.least, &v.yes, &v.bytes, &v.empty, &v.most, &v.no, &v.none, &v.long}
	}
	want := values{text: "Zoë\n", long: strings.Repeat("x", 5000), least: math.MinInt64, most: math.MaxInt64, yes: true,
		bytes: []byte{0, 1, 255}, none: []byte{}}
	for _, q := range []struct{ name, columns string }{
		{"our types", `'Zoë' || chr(10), (-9223372036854775808)::bigint, true, '\x0001ff'::bytea, '', 9223372036854775807, false,
			''::bytea, repeat('x', 5000)`},
		{"others", `('Zoë' || chr(10))::varchar, (-9223372036854775808)::numeric, true, '\x0001ff'::bytea, ''::name,
			9223372036854775807, false, ''::bytea, repeat('x', 5000)`},
	} {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
			t.Run(q.name+", "+mode.String(), func(t *testing.T) {
				rows, err := conn.Query(t.Context(), `SELECT `+q.columns+` FROM generate_series(1, 2)`, mode)
				if err != nil {
					t.Fatal(err)
				}
				defer rows.Close()
				var all []values
				for rows.Next() {
					var ours, theirs values
					if err := sqlstore.PlainScan(rows, dest(&ours)...); err != nil {
						t.Fatal(err)
					}
					if err := rows.Scan(dest(&theirs)...); err != nil {
						t.Fatal(err)
					}
					if !reflect.DeepEqual(ours, theirs) || !reflect.DeepEqual(ours, want) {
						t.Errorf("ours %+v, pgx's %+v", ours, theirs)
					}
					all = append(all, ours)
				}
				if rows.Err() != nil || len(all) != 2 || !reflect.DeepEqual(all[0], want) { // the next row changed nothing of it
					t.Errorf("%d rows: %v", len(all), rows.Err())
				}
			})
		}
	}
	for name, query := range map[string]string{
		"NULL": `SELECT NULL::text`, "two columns": `SELECT '', ''`, "another type": `SELECT '{}'::text[]`,
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			rows, err := conn.Query(t.Context(), query)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			text := "as before"
			if rows.Next(); sqlstore.PlainScan(rows, &text) == nil || text != "as before" {
				t.Errorf("it was read as %q", text)
			}
		})
	}
}

// The row of a request holds nothing of the row before, whose memory it uses.
func TestViewsDoNotMix(t *testing.T) {
	t.Parallel()
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		u, g := create(t, db)
		first, err := db.GrantBySession(t.Context(), g.SessionID)
		if err != nil || first.User.ID != u.ID {
			t.Fatalf("%+v, %v", first.User, err)
		}
		for range 3 {
			none, err := db.GrantBySession(t.Context(), "unknown")
			if !errors.Is(err, userstore.ErrNotFound) || !reflect.DeepEqual(none, userstore.GrantView{}) {
				t.Fatalf("an unknown session has %+v, %v", none, err)
			}
		}
		other, otherGrant := create(t, db)
		second, err := db.GrantBySession(t.Context(), otherGrant.SessionID)
		if err != nil || second.User.ID != other.ID || second.Grant.SessionID != otherGrant.SessionID {
			t.Fatalf("%+v, %v", second, err)
		}
		if again, err := db.GrantBySession(t.Context(), g.SessionID); err != nil || !reflect.DeepEqual(again, first) {
			t.Errorf("%+v, before %+v, %v", again, first, err)
		}
	})
}
