package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const clientColumns = `c.id, c.name, c.auth_method, c.first_party, c.grant_types, c.scopes, c.resources, c.id_token_alg, c.id_token_claims,
	c.metadata, c.secret_hash, c.disabled_at, c.created_at, c.updated_at, c.version, c.kind, c.registration_hash, c.unused_until,
	c.status_index`

// clientRow receives clientColumns.
type clientRow struct {
	c                                       userstore.Client
	grantTypes, scopes, resources, metadata string
	disabled, created, updated, unused      int64
	decoded                                 storedMetadata
}

func (r *clientRow) dest() []any {
	return []any{&r.c.ID, &r.c.Name, &r.c.AuthMethod, &r.c.FirstParty, &r.grantTypes, &r.scopes, &r.resources,
		&r.c.IDTokenAlg, &r.c.IDTokenClaims,
		&r.metadata, &r.c.SecretHash, &r.disabled, &r.created, &r.updated, &r.c.Version,
		&r.c.Kind, &r.c.RegistrationHash, &r.unused, &r.c.StatusIndex}
}

// storedMetadata is the JSON in the column metadata. No statement looks into it, but for the member
// that advanceFirstParty names.
type storedMetadata struct {
	userstore.ClientMetadata
	DocumentAt int64 `json:"document_at,omitempty"`
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
	if r.metadata != "{}" {
		r.decoded = storedMetadata{}
		if err := json.Unmarshal([]byte(r.metadata), &r.decoded); err != nil {
			return c, fmt.Errorf("the stored metadata of a client is damaged: %w", err)
		}
		c.ClientMetadata, c.DocumentAt = r.decoded.ClientMetadata, instant(r.decoded.DocumentAt)
	}
	c.DisabledAt, c.CreatedAt, c.UpdatedAt, c.UnusedUntil = instant(r.disabled), instant(r.created), instant(r.updated), instant(r.unused)
	return c, nil
}

// encodeClient checks the values that end up in JSON or in an index, and encodes what is stored as
// JSON.
func encodeClient(c userstore.Client) (metadata, origins string, err error) {
	for _, items := range [][]string{c.GrantTypes, c.Scopes, c.Resources} {
		if err := texts(items...); err != nil {
			return "", "", err
		}
	}
	if err := indexable(c.ID); err != nil {
		return "", "", err
	}
	if err := textFields(reflect.ValueOf(c.ClientMetadata)); err != nil {
		return "", "", err
	}
	b, err := json.Marshal(storedMetadata{c.ClientMetadata, micros(c.DocumentAt)})
	if err != nil { // jwks is not JSON
		return "", "", fmt.Errorf("%w: %w", userstore.ErrInvalid, err)
	}
	return string(b), list(redirectOrigins(c.RedirectURIs)), nil
}

// CreateClient returns ErrUnavailable when its answer was lost and it has no events. If the caller
// retries, it may get ErrExists.
//
// A client's first epoch is the instant of its creation, but later than any epoch of a client that
// was created or deleted before. So a client that is created under the id of a deleted one inherits
// neither its grants nor its codes, whatever the clock does. The counter's row is locked first,
// here and by DeleteClient, so that a creation that waits for a deletion counts on from there.
func (db *DB) CreateClient(ctx context.Context, c userstore.Client, events ...audit.Event) error {
	return db.as("CreateClient").createClient(ctx, c, nil, events)
}

// createClient is CreateClient. The statement first, if there is one, has to change a row, or else
// nothing is stored: ErrConflict.
func (db named) createClient(ctx context.Context, c userstore.Client, first *stmt, events []audit.Event) error {
	steps, err := insertClient(c, "")
	if err != nil {
		return err
	}
	if err := storables(steps); err != nil {
		return err
	}
	return db.transactWithEvents(ctx, false, events, func(run exec, _ bool) (bool, error) {
		if first != nil {
			if n, err := run(*first); err != nil || n[0] == 0 {
				return false, orElse(err, userstore.ErrConflict)
			}
		}
		_, err := run(steps...)
		return true, err
	})
}

// insertClient returns the statements that insert a client, the last of which changes a row. then is
// what happens if the id is taken.
func insertClient(c userstore.Client, then string) ([]stmt, error) {
	metadata, origins, err := encodeClient(c)
	if err != nil {
		return nil, err
	}
	created := micros(c.CreatedAt)
	return []stmt{
		bind(`UPDATE signet_schema SET last_epoch = CASE WHEN last_epoch < $1 THEN $2 ELSE last_epoch + 1 END`, created, created),
		bind(`INSERT INTO clients (id, name, auth_method, public, first_party, grant_types, scopes, resources, id_token_alg, id_token_claims,
				metadata, redirect_origins, secret_hash, disabled_at, created_at, updated_at, kind, registration_hash, unused_until, backchannel_logout,
				frontchannel_logout, version, epoch)
			SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, 1, last_epoch FROM signet_schema WHERE TRUE`+then,
			c.ID, c.Name, c.AuthMethod, c.Public(), c.FirstParty, list(c.GrantTypes), list(c.Scopes), list(c.Resources),
			c.IDTokenAlg, c.IDTokenClaims,
			metadata, origins, c.SecretHash, micros(c.DisabledAt), created, micros(c.UpdatedAt),
			c.Kind, c.RegistrationHash, micros(c.UnusedUntil), c.BackchannelLogoutURI != "", c.FrontchannelLogoutURI != ""),
	}, nil
}

// UpdateClient is retried when its answer was lost, and then finds a newer version. Without events
// this is ErrConflict; the caller then reads the row and edits again.
//
// The column public repeats auth_method for statements that compare no text.
func (db *DB) UpdateClient(ctx context.Context, c userstore.Client, events ...audit.Event) error {
	metadata, origins, err := encodeClient(c)
	if err != nil {
		return err
	}
	update := bind(`UPDATE clients SET name = $1, auth_method = $2, public = $3, first_party = $4, grant_types = $5,
			scopes = $6, resources = $7, id_token_alg = $8, id_token_claims = $9, metadata = $10, redirect_origins = $11, secret_hash = $12,
			updated_at = $13, unused_until = CASE WHEN unused_until = 0 THEN unused_until ELSE $14 END, backchannel_logout = $15,
			frontchannel_logout = $16, version = version + 1
		WHERE id = $17 AND version = $18`,
		c.Name, c.AuthMethod, c.Public(), c.FirstParty, list(c.GrantTypes), list(c.Scopes), list(c.Resources),
		c.IDTokenAlg, c.IDTokenClaims,
		metadata, origins, c.SecretHash, micros(c.UpdatedAt), micros(c.UnusedUntil), c.BackchannelLogoutURI != "",
		c.FrontchannelLogoutURI != "", c.ID, c.Version)
	if err := storable(update.args); err != nil {
		return err
	}
	err = db.as("UpdateClient").transactWithEvents(ctx, true, events, func(run exec, _ bool) (bool, error) {
		n, err := run(update)
		if err != nil || n[0] == 0 {
			return false, orElse(err, userstore.ErrConflict)
		}
		return true, nil
	})
	if errors.Is(err, userstore.ErrConflict) {
		return db.as("UpdateClient").conflictOrNotFound(ctx, `SELECT version FROM clients WHERE id = $1`, c.ID)
	}
	return err
}

func (db *DB) ClientByID(ctx context.Context, id string) (c userstore.Client, err error) {
	byID := bind(`SELECT `+clientColumns+` FROM clients c WHERE c.id = $1`, id)
	err = db.as("ClientByID").one(ctx, byID, func(row scanner) error {
		var r clientRow
		if err := row.Scan(r.dest()...); err != nil {
			return err
		}
		c, err = r.client()
		return err
	})
	return c, err
}

const (
	firstClients = `SELECT ` + clientColumns + ` FROM clients c ORDER BY c.created_at, c.id LIMIT $1`
	nextClients  = `SELECT ` + clientColumns + ` FROM clients c WHERE (c.created_at, c.id) > ($1, $2) ORDER BY c.created_at, c.id LIMIT $3`
)

func (db *DB) ListClients(ctx context.Context, after *userstore.Client, limit int) ([]userstore.Client, error) {
	if limit < 1 {
		return nil, fmt.Errorf("%w: a page of %d clients", userstore.ErrInvalid, limit)
	}
	s := bind(firstClients, int64(limit))
	if after != nil {
		s = bind(nextClients, micros(after.CreatedAt), after.ID, int64(limit))
	}
	var page []userstore.Client
	err := db.as("ListClients").rows(ctx, s, func() { page = nil }, func(row scanner) error {
		var r clientRow
		if err := row.Scan(r.dest()...); err != nil {
			return err
		}
		c, err := r.client()
		page = append(page, c)
		return err
	})
	return page, err
}

// SetClientActive ends a client's grants by starting a new epoch, which none of them carries. One
// row changes, however many grants there are, and a concurrent login ends up in the old epoch or is
// refused.
func (db *DB) SetClientActive(ctx context.Context, id string, active bool, now time.Time, events ...audit.Event) error {
	s := bind(`UPDATE clients SET disabled_at = 0 WHERE id = $1`, id)
	if !active {
		// The epoch is an instant so that people can read it, but must be a new one even when the
		// clock stands still or goes back. A client that is disabled already keeps its instant.
		s = bind(`UPDATE clients SET
				epoch = CASE WHEN epoch < $1 THEN $2 ELSE epoch + 1 END,
				disabled_at = CASE WHEN disabled_at = 0 THEN $3 ELSE disabled_at END
			WHERE id = $4`, micros(now), micros(now), micros(now), id)
	}
	err := db.as("SetClientActive").change(ctx, true, s, userstore.ErrNotFound, events)
	return ifUnstorable(err, userstore.ErrNotFound)
}

// ClientsWithAlgorithm returns the uses of an algorithm by clients, disabled ones included: an
// algorithm in use cannot be removed. A client that names algorithms in its metadata is read, and
// asked itself.
func (db *DB) ClientsWithAlgorithm(ctx context.Context, alg string) ([]userstore.AlgorithmUse, error) {
	var uses []userstore.AlgorithmUse
	err := db.as("ClientsWithAlgorithm").rows(ctx, bind(`SELECT `+clientColumns+` FROM clients c
			WHERE c.id_token_alg = $1 OR c.metadata LIKE '%signed_response_alg%' ORDER BY c.id`, alg),
		func() { uses = nil }, func(s scanner) error {
			var r clientRow
			if err := s.Scan(r.dest()...); err != nil {
				return err
			}
			c, err := r.client()
			for _, u := range c.AlgorithmUses() {
				if u.Algorithm == alg {
					uses = append(uses, u)
				}
			}
			return err
		})
	return uses, ifUnstorable(err, nil)
}
