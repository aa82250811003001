package sqlstore_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkCode measures the store's part of a login by authorization code.
func BenchmarkCode(b *testing.B) {
	server := pgtest.Start(b, pgtest.Options{Durable: true})
	postgres := open(b, server.URL(b), sqlstore.Options{})
	if err := postgres.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, db := range []*sqlstore.DB{postgres, open(b, sqltest.SQLitePath(b), sqlstore.Options{})} {
		u, s, _ := inBrowser(b, db)
		ctx := context.Background()
		fatal := func(b *testing.B, err error) {
			if err != nil {
				b.Fatal(err)
			}
		}
		b.Run(db.Engine()+"/browser session", func(b *testing.B) {
			for b.Loop() {
				_, _, err := db.BrowserSession(ctx, s.Hash, now, now.Add(-time.Hour))
				fatal(b, err)
			}
		})
		b.Run(db.Engine()+"/save", func(b *testing.B) {
			for b.Loop() {
				fatal(b, db.SaveCode(ctx, newCode(s), nil, time.Time{}))
			}
		})
		b.Run(db.Engine()+"/save, read, redeem", func(b *testing.B) {
			for b.Loop() {
				c := newCode(s)
				fatal(b, db.SaveCode(ctx, c, nil, time.Time{}))
				_, err := db.CodeByHash(ctx, c.Hash)
				fatal(b, err)
				fatal(b, db.RedeemCode(ctx, redemption(u, c)))
			}
		})
		b.Run(db.Engine()+"/login at the pages", func(b *testing.B) {
			for b.Loop() {
				fatal(b, db.StartSession(ctx, userstore.StartSession{Session: newSession(u), PasswordHash: u.PasswordHash}))
			}
		})
		b.Run(db.Engine()+"/assertion", func(b *testing.B) {
			for b.Loop() {
				fatal(b, db.UseAssertion(ctx, "client", rand.Text(), now, now.Add(time.Minute)))
			}
		})
	}
}

// BenchmarkRedeemCode measures RedeemCode alone, by 16 callers, each with users of its own.
func BenchmarkRedeemCode(b *testing.B) {
	server := pgtest.Start(b, pgtest.Options{Durable: true})
	postgres := open(b, server.URL(b), sqlstore.Options{MaxConns: 16})
	if err := postgres.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, db := range []*sqlstore.DB{postgres, open(b, sqltest.SQLitePath(b), sqlstore.Options{})} {
		b.Run(db.Engine(), func(b *testing.B) {
			const callers = 16
			type ready struct {
				u     userstore.User
				codes []userstore.Code
			}
			all := make(chan ready, callers)
			for range callers {
				u, s, _ := inBrowser(b, db)
				r := ready{u: u}
				for range b.N/callers + 1 {
					c := newCode(s)
					if err := db.SaveCode(b.Context(), c, nil, time.Time{}); err != nil {
						b.Fatal(err)
					}
					r.codes = append(r.codes, c)
				}
				all <- r
			}
			close(all)
			b.ResetTimer()
			done := make(chan error)
			for r := range all {
				go func() {
					for _, c := range r.codes {
						if err := db.RedeemCode(context.Background(), redemption(r.u, c)); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range callers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N/callers+1)*callers/b.Elapsed().Seconds(), "redemptions/s")
		})
	}
}
