package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

func (db *DB) RingVersion(ctx context.Context) (version int64, err error) {
	err = db.as("RingVersion").one(ctx, vital(`SELECT version FROM key_ring WHERE id = 1`),
		func(s scanner) error { return s.Scan(&version) })
	return version, ringError(err)
}

// LoadRing reads in one statement, and so one snapshot, on either engine.
func (db *DB) LoadRing(ctx context.Context) (ring keys.Ring, err error) {
	err = db.as("LoadRing").rows(ctx, vital(`SELECT r.version, r.algorithms, r.refresh_secret, r.factor_secret,
			r.parameters,
			COALESCE(k.id, ''), COALESCE(k.algorithm, ''), COALESCE(k.seq, 0), COALESCE(k.sealed, ''), COALESCE(k.public, ''),
			COALESCE(k.created_at, 0), COALESCE(k.activate_at, 0), COALESCE(k.retire_at, 0), COALESCE(k.remove_at, 0), COALESCE(k.revoked_at, 0)
		FROM key_ring r LEFT JOIN signing_keys k ON r.id = 1
		ORDER BY k.algorithm, k.seq`),
		func() { ring = keys.Ring{} }, func(s scanner) error {
			var k keys.Key
			var algorithms, parameters, public string
			var created, activate, retire, remove, revoked int64
			err := s.Scan(&ring.Version, &algorithms, &ring.RefreshSecret, &ring.FactorSecret, &parameters, &k.ID, &k.Algorithm,
				&k.Seq, &k.Sealed, &public,
				&created, &activate, &retire, &remove, &revoked)
			if err != nil {
				return err
			}
			if parameters != "" {
				if err := json.Unmarshal([]byte(parameters), &ring.Parameters); err != nil {
					return fmt.Errorf("the column parameters of the table key_ring is damaged: %w", err)
				}
			}
			if ring.Algorithms, err = unlist(algorithms); err != nil || k.ID == "" {
				return err
			}
			k.Public = json.RawMessage(public)
			k.CreatedAt, k.ActivateAt, k.RetireAt, k.RemoveAt, k.RevokedAt =
				instant(created), instant(activate), instant(retire), instant(remove), instant(revoked)
			ring.Keys = append(ring.Keys, k)
			return nil
		})
	return ring, ringError(err)
}

// ChangeRing locks the ring's one row while it works, so that of two changes to one version the
// second finds another version. When its answer was lost it is retried. Without events it then
// returns ErrConflict; the caller loads the ring and sees its own change.
func (db *DB) ChangeRing(ctx context.Context, version int64, c keys.Change) error {
	swap := bind(`UPDATE key_ring SET version = version + 1 WHERE id = 1 AND version = $1`, version)
	steps := []stmt{}
	if c.Algorithms != nil {
		steps = append(steps, bind(`UPDATE key_ring SET algorithms = $1 WHERE id = 1`, list(c.Algorithms)))
	}
	if c.RefreshSecret != "" {
		steps = append(steps, bind(`UPDATE key_ring SET refresh_secret = $1 WHERE id = 1`, c.RefreshSecret))
	}
	if c.FactorSecret != "" {
		steps = append(steps, bind(`UPDATE key_ring SET factor_secret = $1 WHERE id = 1`, c.FactorSecret))
	}
	if c.Parameters != nil {
		text, err := json.Marshal(c.Parameters)
		if err != nil {
			return err
		}
		steps = append(steps, bind(`UPDATE key_ring SET parameters = $1 WHERE id = 1`, string(text)))
	}
	// Deletions come first: an inserted key may take the place of a deleted one.
	for _, id := range c.Delete {
		steps = append(steps, bind(`DELETE FROM signing_keys WHERE id = $1`, id))
	}
	for _, k := range c.Update {
		steps = append(steps, bind(`UPDATE signing_keys SET sealed = $1, created_at = $2, activate_at = $3, retire_at = $4, remove_at = $5, revoked_at = $6
			WHERE id = $7`, k.Sealed, micros(k.CreatedAt), micros(k.ActivateAt), micros(k.RetireAt), micros(k.RemoveAt), micros(k.RevokedAt), k.ID))
	}
	for _, k := range c.Insert {
		steps = append(steps, bind(`INSERT INTO signing_keys (id, algorithm, seq, sealed, public, created_at, activate_at, retire_at, remove_at, revoked_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, k.ID, k.Algorithm, k.Seq, k.Sealed, string(k.Public),
			micros(k.CreatedAt), micros(k.ActivateAt), micros(k.RetireAt), micros(k.RemoveAt), micros(k.RevokedAt)))
	}
	if err := storables(append(steps, swap)); err != nil {
		return err
	}
	return db.as("ChangeRing").transactWithEvents(ctx, true, c.Events, func(run exec, _ bool) (bool, error) {
		if n, err := run(swap); err != nil || n[0] == 0 {
			return false, orElse(err, keys.ErrConflict)
		}
		n, err := run(steps...)
		if err != nil {
			return false, err
		}
		for i := range n {
			if n[i] == 0 && !strings.HasPrefix(steps[i].sql, "DELETE") {
				return false, errors.New("the change names a key that the key set does not have")
			}
		}
		return true, nil
	})
}

// orElse returns err, or otherwise if err is nil.
func orElse(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// ringError turns ErrNotFound into ErrUnavailable: a missing row of key_ring is a broken database,
// not an answer.
func ringError(err error) error {
	if errors.Is(err, userstore.ErrNotFound) {
		return fmt.Errorf("%w: the table key_ring is empty: restore the database from a backup", userstore.ErrUnavailable)
	}
	return err
}
