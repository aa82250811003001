package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/signet-id/signet/userstore"
)

var (
	savePushed = numbered(`INSERT INTO pushed_requests (id, client_id, client_epoch, request, code, expires_at, remove_at)
		SELECT $, c.id, c.epoch, $, $, $, $ FROM clients c WHERE c.id = $ AND c.disabled_at = 0
		AND (SELECT COUNT(*) FROM pushed_requests p WHERE p.client_id = $ AND p.expires_at > $) < $
		AND (SELECT COUNT(*) FROM pushed_requests p WHERE p.expires_at > $) < $`)

	readPushed = numbered(`SELECT p.request, p.code, p.expires_at FROM pushed_requests p JOIN clients c ON c.id = p.client_id
		WHERE p.id = $ AND p.client_id = $ AND p.client_epoch = c.epoch`)

	// usePushed keeps the first code. The row may have been removed since the request was begun.
	usePushed = numbered(`INSERT INTO pushed_requests (id, client_id, client_epoch, request, code, expires_at, remove_at)
		SELECT $, c.id, c.epoch, '', $, $, $ FROM clients c WHERE c.id = $
		ON CONFLICT (id) DO UPDATE SET request = '', code = excluded.code, expires_at = excluded.expires_at,
			remove_at = excluded.remove_at
		WHERE pushed_requests.client_id = excluded.client_id AND pushed_requests.client_epoch = excluded.client_epoch
		AND (pushed_requests.code = $ OR pushed_requests.code = excluded.code)`)
)

const removePushed = `DELETE FROM pushed_requests WHERE id IN
	(SELECT p.id FROM pushed_requests p WHERE p.remove_at <= $1 ORDER BY p.remove_at LIMIT $2)`

// unused is the column code of a request that was not used.
var unused = []byte{}

// SavePushedRequest takes the lock of the client first: the requests of one client take turns, so
// that their number never exceeds the limit. It is not retried when its answer was lost, because it
// would find its own row; the client pushes its request again.
func (db *DB) SavePushedRequest(
	ctx context.Context, p userstore.PushedRequest, limits userstore.PushedLimits, now time.Time,
) error {
	ends, at := micros(p.ExpiresAt), micros(now)
	sum := sha256.Sum256([]byte("pushed requests of " + p.ClientID))
	steps := append(db.dialect.locked(int64(binary.BigEndian.Uint64(sum[:]))),
		bind(savePushed, p.ID[:], string(p.Request), unused, ends, ends, p.ClientID,
			p.ClientID, at, int64(limits.OfClient), at, int64(limits.InAll)))
	n, err := db.batch(ctx, false, steps...)
	if err == nil && n[len(n)-1] == 0 {
		err = userstore.ErrConflict
	}
	return err
}

func (db *DB) PushedRequest(
	ctx context.Context, id userstore.PushedID, clientID string, now time.Time,
) (userstore.PushedRequest, error) {
	p := userstore.PushedRequest{ID: id, ClientID: clientID}
	var request string
	var code []byte
	var ends int64
	err := db.one(ctx, bind(readPushed, id[:], clientID), func(row scanner) error {
		return row.Scan(&request, &code, &ends)
	})
	switch {
	case err != nil:
		return userstore.PushedRequest{}, err
	case len(code) > 0:
		return userstore.PushedRequest{}, userstore.ErrExists
	case ends <= micros(now):
		return userstore.PushedRequest{}, userstore.ErrNotFound
	}
	p.Request, p.ExpiresAt = []byte(request), instant(ends)
	return p, nil
}

func (db *DB) UsePushedRequest(ctx context.Context, u userstore.PushedUse) error {
	n, err := db.write(ctx, true, bind(usePushed, u.ID[:], u.Code[:], micros(u.Now), micros(u.Known), u.ClientID, unused))
	if err == nil && n == 0 {
		err = userstore.ErrConflict
	}
	return ifUnstorable(err, userstore.ErrConflict)
}
