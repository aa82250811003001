package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/userstore/sqlstore"
)

func (a *app) migrateCommand() *cobra.Command {
	return group("migrate", "Bring the database's schema up to date",
		&cobra.Command{
			Use:   "up",
			Short: "Apply what is missing",
			Long: `Apply what is missing. Running it twice, or on several machines at once, is safe;
running servers of the version before go on working while it runs.`,
			Args: cobra.NoArgs,
			RunE: action(func(ctx context.Context, _ []string) error {
				c, err := a.load(nil)
				if err != nil {
					return err
				}
				before, err := a.migrations(ctx, c, sqlstore.Options{MaxConns: 2})
				if err != nil {
					return err
				}
				if err := a.migrateUp(ctx, c); err != nil {
					return err
				}
				done := 0
				for _, m := range before {
					if m.AppliedAt.IsZero() {
						done++
					}
				}
				if a.asJSON {
					return a.printJSON(map[string]int{"applied": done})
				}
				if done == 0 {
					_, err = fmt.Fprintln(a.out, "The schema is up to date; nothing was done.")
				} else {
					_, err = fmt.Fprintf(a.out, "The schema is up to date; %s applied.\n", count(done, "migration"))
				}
				return err
			}),
		},
		&cobra.Command{
			Use:   "status",
			Short: "List the migrations, those applied and those missing",
			Args:  cobra.NoArgs,
			RunE: action(func(ctx context.Context, _ []string) error {
				c, err := a.load(nil)
				if err != nil {
					return err
				}
				list, err := a.migrations(ctx, c, sqlstore.Options{MaxConns: 2, MustExist: true})
				if err != nil {
					return err
				}
				if a.asJSON {
					type migration struct {
						Version   int64   `json:"version"`
						Name      string  `json:"name"`
						AppliedAt *string `json:"applied_at"`
					}
					shown := []migration{}
					for _, m := range list {
						shown = append(shown, migration{m.Version, m.Name, rfc3339(m.AppliedAt)})
					}
					return a.printJSON(shown)
				}
				var rows [][]string
				for _, m := range list {
					applied := "missing; run `signet migrate up`"
					if !m.AppliedAt.IsZero() {
						applied = readable.Instant(m.AppliedAt)
					}
					rows = append(rows, []string{m.Name, applied})
				}
				return a.table([]string{"MIGRATION", "APPLIED"}, rows)
			}),
		},
		a.migrateCopyCommand(),
	)
}

// migrateUp migrates over the connection for migrations.
func (a *app) migrateUp(ctx context.Context, c configs.Config) error {
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	db, err := a.open(ctx, c, c.MigrateDatabase(), sqlstore.Options{MaxConns: 2, Log: log})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Migrate(ctx)
}

func (a *app) migrations(ctx context.Context, c configs.Config, o sqlstore.Options) ([]sqlstore.Migration, error) {
	db, err := a.open(ctx, c, c.MigrateDatabase(), o)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return db.Migrations(ctx)
}

// count returns a number with its noun, such as "2 sessions".
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
