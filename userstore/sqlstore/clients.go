package sqlstore

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const clientColumns = `c.id, c.name, c.public, c.first_party, c.grant_types, c.scopes, c.resources, c.id_token_alg,
	c.disabled_at, c.created_at`

// clientRow receives clientColumns.
type clientRow struct {
	c                             userstore.Client
	grantTypes, scopes, resources string
	disabled, created             int64
}

func (r *clientRow) dest() []any {
	return []any{&r.c.ID, &r.c.Name, &r.c.Public, &r.c.FirstParty, &r.grantTypes, &r.scopes, &r.resources, &r.c.IDTokenAlg,
		&r.disabled, &r.created}
}

func (r *clientRow) client() (c userstore.Client, err error) {
	c = r.c
	for _, l := range []struct {
		to   *[]string
		text string
	}{{&c.GrantTypes, r.grantTypes}, {&c.Scopes, r.scopes}, {&c.Resources, r.resources}} {
		if *l.to, err = unlist(l.text); err != nil {
			return c, err
		}
	}
	c.DisabledAt, c.CreatedAt = instant(r.disabled), instant(r.created)
	return c, nil
}

// CreateClient whose answer was lost says ErrUnavailable when it has no events;
// whoever then tries again may be told that the client exists.
//
// The first epoch is the instant of creation, so that a client that is made
// again under the id of a deleted one does not inherit its grants.
func (db *DB) CreateClient(ctx context.Context, c userstore.Client, events ...audit.Event) error {
	for _, items := range [][]string{c.GrantTypes, c.Scopes, c.Resources} {
		if err := texts(items...); err != nil {
			return err
		}
	}
	if err := indexable(c.ID); err != nil {
		return err
	}
	return db.change(ctx, false, bind(`INSERT INTO clients (id, name, public, first_party, grant_types, scopes, resources, id_token_alg,
			epoch, disabled_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		c.ID, c.Name, c.Public, c.FirstParty, list(c.GrantTypes), list(c.Scopes), list(c.Resources), c.IDTokenAlg,
		micros(c.CreatedAt), micros(c.DisabledAt), micros(c.CreatedAt)), nil, events)
}

func (db *DB) ClientByID(ctx context.Context, id string) (c userstore.Client, err error) {
	err = db.one(ctx, bind(`SELECT `+clientColumns+` FROM clients c WHERE c.id = $1`, id), func(row scanner) error {
		var r clientRow
		if err := row.Scan(r.dest()...); err != nil {
			return err
		}
		c, err = r.client()
		return err
	})
	return c, err
}

// SetClientActive ends a client's grants by starting a new epoch, which none of
// them carries: one row changes, however many grants there are, and a login
// that is under way at this moment ends up in the old epoch or is refused.
func (db *DB) SetClientActive(ctx context.Context, id string, active bool, now time.Time, events ...audit.Event) error {
	s := bind(`UPDATE clients SET disabled_at = 0 WHERE id = $1`, id)
	if !active {
		// The epoch is an instant for people who look, but must be a new one even
		// when the clock stands still or goes back. A client that is disabled
		// already keeps its instant.
		s = bind(`UPDATE clients SET
				epoch = CASE WHEN epoch < $1 THEN $2 ELSE epoch + 1 END,
				disabled_at = CASE WHEN disabled_at = 0 THEN $3 ELSE disabled_at END
			WHERE id = $4`, micros(now), micros(now), micros(now), id)
	}
	return unknown(db.change(ctx, true, s, userstore.ErrNotFound, events), userstore.ErrNotFound)
}

// ClientsWithAlgorithm lists the ids of the clients, disabled ones included,
// that are registered for ID tokens of alg by name: an algorithm in use cannot
// be taken away. Clients that leave the choice to us are not among them.
func (db *DB) ClientsWithAlgorithm(ctx context.Context, alg string) ([]string, error) {
	var ids []string
	err := db.rows(ctx, bind(`SELECT id FROM clients WHERE id_token_alg = $1 AND id_token_alg <> '' ORDER BY id`, alg),
		func() { ids = nil }, func(s scanner) error {
			var id string
			err := s.Scan(&id)
			ids = append(ids, id)
			return err
		})
	return ids, unknown(err, nil)
}
