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

	// savePushedWithoutRow is savePushed for a client that may have no row. Another person may have
	// made the row since the client was read.
	savePushedWithoutRow = numbered(`INSERT INTO pushed_requests (id, client_id, client_epoch, request, code, expires_at, remove_at)
		SELECT $, $, ` + epochOrNone + `, $, $, $, $ WHERE NOT EXISTS (SELECT 1 FROM clients c WHERE c.id = $ AND c.disabled_at <> 0)
		AND (SELECT COUNT(*) FROM pushed_requests p WHERE p.client_epoch = -1 AND p.expires_at > $) < $
		AND (SELECT COUNT(*) FROM pushed_requests p WHERE p.expires_at > $) < $`)

	readPushed = numbered(`SELECT p.request, p.code, p.expires_at FROM pushed_requests p LEFT JOIN clients c ON c.id = p.client_id
		WHERE p.id = $ AND p.client_id = $ AND (p.client_epoch = c.epoch OR p.client_epoch = -1)`)

	// usePushed keeps the first code. The row may have been removed since the request was begun.
	usePushed           = numbered(insertUse + `SELECT $, c.id, c.epoch, '', $, $, $ FROM clients c WHERE c.id = $` + keepUse)
	usePushedWithoutRow = numbered(insertUse + `SELECT $, $, ` + epochOrNone + `, '', $, $, $ WHERE TRUE` + keepUse)
)

const (
	insertUse = `INSERT INTO pushed_requests (id, client_id, client_epoch, request, code, expires_at, remove_at) `
	keepUse   = ` ON CONFLICT (id) DO UPDATE SET request = '', code = excluded.code, expires_at = excluded.expires_at,
			remove_at = excluded.remove_at
		WHERE pushed_requests.client_id = excluded.client_id
		AND (pushed_requests.client_epoch = excluded.client_epoch OR pushed_requests.client_epoch = -1)
		AND (pushed_requests.code = $ OR pushed_requests.code = excluded.code)`
)

// epochOrNone is the epoch of a client, or that of the clients without a row, which no client has.
const epochOrNone = `COALESCE((SELECT c.epoch FROM clients c WHERE c.id = $), -1)`

const removePushed = `DELETE FROM pushed_requests WHERE id IN
	(SELECT p.id FROM pushed_requests p WHERE p.remove_at >= $1 AND p.remove_at <= $2 ORDER BY p.remove_at LIMIT $3)
	RETURNING remove_at`

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
	save := bind(savePushed, p.ID[:], string(p.Request), unused, ends, ends, p.ClientID,
		p.ClientID, at, int64(limits.OfClient), at, int64(limits.InAll))
	if p.NoRow {
		sum = sha256.Sum256([]byte("pushed requests of clients without a row"))
		save = bind(savePushedWithoutRow, p.ID[:], p.ClientID, p.ClientID, string(p.Request), unused, ends, ends, p.ClientID,
			at, int64(limits.OfClient), at, int64(limits.InAll))
	}
	steps := append(db.dialect.locked(int64(binary.BigEndian.Uint64(sum[:]))), save)
	n, err := db.as("SavePushedRequest").batch(ctx, false, steps...)
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
	err := db.as("PushedRequest").one(ctx, bind(readPushed, id[:], clientID), func(row scanner) error {
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
	use := bind(usePushed, u.ID[:], u.Code[:], micros(u.Now), micros(u.Known), u.ClientID, unused)
	if u.NoRow {
		use = bind(usePushedWithoutRow, u.ID[:], u.ClientID, u.ClientID, u.Code[:], micros(u.Now), micros(u.Known), unused)
	}
	n, err := db.as("UsePushedRequest").write(ctx, true, use)
	if err == nil && n == 0 {
		err = userstore.ErrConflict
	}
	return ifUnstorable(err, userstore.ErrConflict)
}
