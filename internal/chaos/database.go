package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Database is where the replicas keep everything, and what can happen to it.
type Database interface {
	// URL is the address of the database, for one host that the proxies stand before.
	URL() string
	// On are the settings that have to be on, so that what is acknowledged survives its faults.
	On() []string
	// Faults are those of its own kind. They last until the prober has seen the recovery.
	Faults(*Prober) Group
}

// Server is one PostgreSQL, as pgtest starts it.
type Server interface {
	Stop() error // as a crash of its machine would
	Resume() error
	Processes() ([]int, error)
}

// Postgres is a database on one server.
type Postgres struct {
	Server  Server
	Address string
}

// URL implements Database.
func (p *Postgres) URL() string { return p.Address }

// On implements Database.
func (p *Postgres) On() []string { return []string{"fsync", "synchronous_commit", "full_page_writes"} }

// Faults implements Database.
func (p *Postgres) Faults(prober *Prober) Group {
	return Group{"database", []Fault{
		{"database killed", 36 * time.Second, func(ctx context.Context, random *rand.Rand) error {
			if err := p.Server.Stop(); err != nil {
				return err
			}
			pause(ctx, between(random, 50*time.Millisecond, 3*time.Second))
			if err := p.Server.Resume(); err != nil { // it returns when the server accepts connections
				return err
			}
			return prober.Recovered(ctx, time.Now())
		}},
		{"database stalled", 70 * time.Second, func(ctx context.Context, random *rand.Rand) error {
			pids, err := p.Server.Processes()
			if err != nil {
				return err
			}
			all(pids, syscall.SIGSTOP)
			pause(ctx, between(random, time.Second, 8*time.Second))
			all(pids, syscall.SIGCONT)
			return prober.Recovered(ctx, time.Now())
		}},
		{"backends terminated", 20 * time.Second, func(ctx context.Context, random *rand.Rand) error {
			return terminate(ctx, p.Address, 1+random.IntN(15))
		}},
	}}
}

func all(pids []int, s syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, s) // a backend may have ended
	}
}

// terminate ends backends of the database, five a second.
func terminate(ctx context.Context, address string, n int) error {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return errNotNow
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for range n {
		if _, err := conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1`); err != nil {
			return errNotNow
		}
		pause(ctx, 200*time.Millisecond)
	}
	return nil
}

// durable demands a database that keeps what it has acknowledged.
func durable(ctx context.Context, d Database) error {
	conn, err := pgx.Connect(ctx, d.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, setting := range d.On() {
		var value string
		if err := conn.QueryRow(ctx, "SELECT current_setting($1)", setting).Scan(&value); err != nil {
			return err
		}
		if value != "on" {
			return fmt.Errorf("the database has %s = %s", setting, value)
		}
	}
	return nil
}

// rotated returns how many rotations the algorithm has had that has had the fewest.
func (s *System) rotated(ctx context.Context) (n int, err error) {
	conn, err := pgx.Connect(ctx, s.Database.URL())
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `SELECT min(n) FROM (SELECT count(*) FILTER (WHERE seq > 1 AND activate_at <= $1) AS n
		FROM signing_keys GROUP BY algorithm) AS of`, time.Now().UnixMicro()).Scan(&n)
	return n, err
}

// ReadState reads what a run left in the database.
func ReadState(ctx context.Context, address string) (s State, err error) {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return s, err
	}
	defer conn.Close(ctx)
	s = State{Users: map[string]UserState{}, Grants: map[string]GrantState{}, Codes: map[string]CodeState{},
		Consents: map[[2]string]bool{}}
	each := func(query string, row func(pgx.Rows) error) {
		if err != nil {
			return
		}
		var rows pgx.Rows
		if rows, err = conn.Query(ctx, query); err != nil {
			return
		}
		defer rows.Close()
		for rows.Next() {
			if err = row(rows); err != nil {
				return
			}
		}
		err = rows.Err()
	}
	each(`SELECT email, password_hash <> '' FROM users`, func(r pgx.Rows) error {
		var email string
		var u UserState
		err := r.Scan(&email, &u.HasPassword)
		s.Users[email] = u
		return err
	})
	each(`SELECT encode(g.id, 'hex'), u.email, g.client_id, g.generation, g.revoked_at <> 0
		FROM grants g JOIN users u ON u.id = g.user_id`, func(r pgx.Rows) error {
		var id string
		var g GrantState
		err := r.Scan(&id, &g.User, &g.App, &g.Generation, &g.Ended)
		s.Grants[id] = g
		return err
	})
	each(`SELECT encode(hash, 'hex'), used_at <> 0, encode(grant_id, 'hex') FROM codes`, func(r pgx.Rows) error {
		var code string
		var c CodeState
		err := r.Scan(&code, &c.Used, &c.Grant)
		s.Codes[code] = c
		return err
	})
	each(`SELECT u.email, c.client_id FROM consents c JOIN users u ON u.id = c.user_id`, func(r pgx.Rows) error {
		var pair [2]string
		err := r.Scan(&pair[0], &pair[1])
		s.Consents[pair] = true
		return err
	})
	each(`SELECT id, algorithm, seq, created_at, activate_at, retire_at, remove_at, revoked_at, sealed <> ''
		FROM signing_keys ORDER BY algorithm, seq`, func(r pgx.Rows) error {
		var k KeyState
		var at [5]int64
		err := r.Scan(&k.ID, &k.Algorithm, &k.Seq, &at[0], &at[1], &at[2], &at[3], &at[4], &k.HasPrivate)
		for n, to := range []*time.Time{&k.Created, &k.Activate, &k.Retire, &k.Remove, &k.Revoked} {
			if at[n] != 0 {
				*to = time.UnixMicro(at[n])
			}
		}
		s.Keys = append(s.Keys, k)
		return err
	})
	return s, err
}
