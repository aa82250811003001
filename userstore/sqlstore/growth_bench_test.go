//go:build unix

package sqlstore_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkGrowth fills a store in three steps, a hundredth, a tenth and all of GROWTH_USERS users
// and GROWTH_GRANTS grants, and prints after each what it does in a second and how large it is.
// docs/performance.md has the figures and the command. PostgreSQL has a cache of 1 GB; b.N does not
// count.
func BenchmarkGrowth(b *testing.B) {
	f := filling{users: fromEnvironment(b, "GROWTH_USERS", 20_000), grants: fromEnvironment(b, "GROWTH_GRANTS", 40_000), began: time.Now()}
	b.Run("postgres", func(b *testing.B) {
		s := pgtest.Start(b, largeServer)
		growth(b, f, s.URL(b), postgresTables)
	})
	b.Run("sqlite", func(b *testing.B) { growth(b, f, sqltest.SQLitePath(b), sqliteTables) })
}

func fromEnvironment(b *testing.B, name string, byDefault int) int {
	text := os.Getenv(name)
	if text == "" {
		return byDefault
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1000 {
		b.Fatalf("%s is the number of rows, 1000 or more: %q", name, text)
	}
	return n
}

// growth prints a table of the rates and one of the sizes.
func growth(b *testing.B, f filling, url string, tables func(b *testing.B, url string) []tableSize) {
	f.generations = &sync.Map{}
	db, err := sqlstore.Open(b.Context(), url, sqlstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := db.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	db.Close()
	var rates, sizes bytes.Buffer
	rates.WriteString("| users | grants | refreshes | reads of a login | reads of userinfo | sign-ups | first page, ms | by text | by role | disabled |\n" +
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	sizes.WriteString("| users | table | rows, MB | indexes, MB |\n| --- | --- | --- | --- |\n")
	had := [2]int{}
	for _, part := range []int{100, 10, 1} {
		has := [2]int{f.users / part, f.grants / part}
		began := time.Now()
		f.fill(b, url, had, has)
		b.Logf("filled up to %d users and %d grants in %s", has[0], has[1], time.Since(began).Round(time.Second))
		fmt.Fprintf(&rates, "| %d | %d | %s |\n", has[0], has[1], strings.Join(f.rates(b, url, part), " | "))
		for _, t := range tables(b, url) {
			fmt.Fprintf(&sizes, "| %d | %s | %.1f | %.1f |\n", has[0], t.name, float64(t.rows)/1e6, float64(t.indexes)/1e6)
		}
		had = has
	}
	// testing cuts what is logged after ten lines.
	fmt.Printf("\nin a second, 16 at once; the lists one after the other\n\n%s\n%s\n", &rates, &sizes)
	b.ReportMetric(0, "ns/op")
}

// rates measures what the store does in a second, and how long its lists take.
func (f filling) rates(b *testing.B, url string, part int) (cells []string) {
	db, err := sqlstore.Open(b.Context(), url, sqlstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	users, grants := f.users/part, f.grants/part
	var signUps atomic.Int64 // of users that no other step makes
	signUps.Store(int64(2*f.users + part*10_000_000))
	for _, op := range []func(worker int, random *rand.Rand) error{
		func(worker int, random *rand.Rand) error {
			n := 0
			for n == 0 || !f.user(f.owner(n)).IsActive { // a disabled user refreshes nothing
				n = random.IntN(grants/growthWorkers)*growthWorkers + worker + 1 // a grant belongs to one worker
			}
			generation := int64(1)
			if g, refreshed := f.generations.Load(n); refreshed {
				generation = g.(int64)
			}
			g := f.grant(n)
			v, err := db.AdvanceGrant(context.Background(), userstore.Advance{ID: g.ID, Generation: generation, ClientID: g.ClientID,
				FirstParty: true, Now: time.Now(), IdleSince: f.began.Add(-time.Hour)})
			f.generations.Store(n, v.Grant.Generation)
			return err
		},
		func(_ int, random *rand.Rand) error {
			u := f.user(random.IntN(users) + 1)
			_, known, _, err := db.LoginView(context.Background(), userstore.Login{EmailKey: u.EmailKey}, userstore.FirstPartyClientID)
			if err == nil && !known {
				err = fmt.Errorf("%s is unknown", u.Email)
			}
			return err
		},
		func(_ int, random *rand.Rand) error {
			_, err := db.GrantBySession(context.Background(), f.grant(random.IntN(grants)+1).SessionID)
			return err
		},
		func(int, *rand.Rand) error {
			return db.CreateUser(context.Background(), f.user(int(signUps.Add(1))))
		},
	} {
		cells = append(cells, fmt.Sprintf("%.0f", inASecond(b, op)))
	}
	indexNames(b, db) // of everybody who was filled in or signed up, as a server does within seconds
	for _, q := range []userstore.UserQuery{
		{}, {Text: "find"}, {Role: filledRole}, {State: userstore.Disabled},
	} {
		q.Limit = 50
		var took []time.Duration
		for began := time.Now(); len(took) < 3 || len(took) < 100 && time.Since(began) < 3*time.Second; {
			if q.Text != "" {
				q.Text = f.user(rand.IntN(users) + 1).EmailKey[:10] // ten digits: of one user, hardly ever of two
			}
			asked := time.Now()
			page, err := db.ListUsers(context.Background(), q)
			took = append(took, time.Since(asked))
			if err != nil || q.Text != "" && len(page.Users) == 0 {
				b.Fatalf("%+v: %d users, %v", q, len(page.Users), err)
			}
		}
		slices.Sort(took)
		cells = append(cells, fmt.Sprintf("%.1f", took[len(took)/2].Seconds()*1000))
	}
	return cells
}

const growthWorkers = 16

// inASecond measures for two seconds, after a half that does not count.
func inASecond(b *testing.B, op func(worker int, random *rand.Rand) error) float64 {
	b.Helper()
	var rate float64
	for _, d := range []time.Duration{500 * time.Millisecond, 2 * time.Second} {
		var done atomic.Int64
		var all sync.WaitGroup
		began := time.Now()
		for worker := range growthWorkers {
			all.Go(func() {
				random := rand.New(rand.NewPCG(rand.Uint64(), uint64(worker)))
				for time.Since(began) < d {
					if err := op(worker, random); err != nil {
						b.Error(err)
						return
					}
					done.Add(1)
				}
			})
		}
		all.Wait()
		rate = float64(done.Load()) / time.Since(began).Seconds()
	}
	return rate
}

// tableSize is how many bytes a table takes.
type tableSize struct {
	name          string
	rows, indexes int64
}

// notable leaves out the tables that are nearly empty.
const notable = 1 << 20

func postgresTables(b *testing.B, url string) []tableSize {
	conn := session(b, url)
	defer conn.Close(b.Context())
	rows, err := conn.Query(b.Context(), `SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname`)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	return notableTables(b, rows)
}

func sqliteTables(b *testing.B, path string) []tableSize {
	db := raw(b, path)
	defer db.Close()
	rows, err := db.Query(`SELECT s.tbl_name, SUM(CASE WHEN s.type = 'table' THEN d.pgsize ELSE 0 END),
		SUM(CASE WHEN s.type = 'index' THEN d.pgsize ELSE 0 END)
		FROM dbstat d JOIN sqlite_schema s ON s.name = d.name WHERE d.aggregate = TRUE GROUP BY s.tbl_name ORDER BY s.tbl_name`)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	return notableTables(b, rows)
}

func notableTables(b *testing.B, rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
}) (all []tableSize) {
	for rows.Next() {
		var t tableSize
		if err := rows.Scan(&t.name, &t.rows, &t.indexes); err != nil {
			b.Fatal(err)
		}
		if t.rows+t.indexes > notable {
			all = append(all, t)
		}
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return all
}
