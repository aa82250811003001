package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

const deviceColumns = `id, code_hash, user_code, client_id, scopes, resources, address, user_agent,
	created_at, expires_at, remove_at, poll_interval, state, answered_by`

// deviceWaits is the condition that a device authorization can be answered at a time.
const deviceWaits = `state = '' AND expires_at > $
	AND (client_epoch = -1 OR client_epoch = (SELECT epoch FROM clients WHERE clients.id = device_authorizations.client_id))`

var (
	saveDevice = numbered(`INSERT INTO device_authorizations
			(` + deviceColumns + `, client_epoch, due_at, was_early)
		SELECT $, $, $, c.id, $, $, $, $, $, $, $, $, '', '', c.epoch, $, $ FROM clients c
		WHERE c.id = $ AND c.disabled_at = 0
		AND (SELECT COUNT(*) FROM device_authorizations d WHERE d.client_id = $ AND d.expires_at > $) < $
		AND (SELECT COUNT(*) FROM device_authorizations d WHERE d.expires_at > $) < $
		ON CONFLICT DO NOTHING`)

	// saveDeviceWithoutRow is as savePushedWithoutRow.
	saveDeviceWithoutRow = numbered(`INSERT INTO device_authorizations
			(` + deviceColumns + `, client_epoch, due_at, was_early)
		SELECT $, $, $, $, $, $, $, $, $, $, $, $, '', '', ` + epochOrNone + `, $, $
		WHERE NOT EXISTS (SELECT 1 FROM clients c WHERE c.id = $ AND c.disabled_at <> 0)
		AND (SELECT COUNT(*) FROM device_authorizations d WHERE d.client_epoch = -1 AND d.expires_at > $) < $
		AND (SELECT COUNT(*) FROM device_authorizations d WHERE d.expires_at > $) < $
		ON CONFLICT DO NOTHING`)

	readDevice = `SELECT ` + prefixed("d", deviceColumns) + ` FROM device_authorizations d
		LEFT JOIN clients c ON c.id = d.client_id WHERE (d.client_epoch = -1 OR d.client_epoch = c.epoch) AND d.`
	deviceByCode     = readDevice + `code_hash = $1`
	deviceByUserCode = readDevice + `user_code = $1`
	deviceByID       = readDevice + `id = $1`

	// pollDevice changes nothing for an early poll once the interval is at its longest: then a client
	// that takes no notice of the interval costs no writes.
	pollDevice = numbered(`UPDATE device_authorizations SET was_early = (due_at > $),
		poll_interval = CASE WHEN due_at > $ THEN poll_interval + $ ELSE poll_interval END,
		due_at = CASE WHEN due_at > $ THEN poll_interval + $ ELSE poll_interval END + $
		WHERE code_hash = $ AND ` + deviceWaits + ` AND (due_at <= $ OR poll_interval + $ <= $)
		RETURNING was_early`)
	waitingDevice = numbered(`SELECT id FROM device_authorizations WHERE code_hash = $ AND ` + deviceWaits)

	denyDevice  = numbered(`UPDATE device_authorizations SET state = 'denied', answered_by = $ WHERE id = $ AND ` + deviceWaits)
	allowDevice = numbered(`UPDATE device_authorizations SET state = 'allowed', answered_by = $
		WHERE id = $ AND code_hash = $ AND client_id = $ AND ` + deviceWaits)
)

const removeDevices = `DELETE FROM device_authorizations WHERE id IN
	(SELECT d.id FROM device_authorizations d WHERE d.remove_at >= $1 AND d.remove_at <= $2 ORDER BY d.remove_at LIMIT $3)
	RETURNING remove_at`

// SaveDevice takes the lock of the client first, as SavePushedRequest does and for the same reason.
// It is not retried when its answer was lost, because it would find its own row; the device asks
// again.
func (db *DB) SaveDevice(ctx context.Context, d userstore.DeviceAuthorization, limits userstore.DeviceLimits) error {
	for _, items := range [][]string{d.Scopes, d.Resources} {
		if err := texts(items...); err != nil {
			return err
		}
	}
	created := micros(d.CreatedAt)
	sum := sha256.Sum256([]byte("device authorizations of " + d.ClientID))
	keys := []any{d.ID, d.CodeHash[:], d.UserCode[:]}
	asked := []any{list(d.Scopes), list(d.Resources), displayable(d.Address), displayable(d.UserAgent), created,
		micros(d.ExpiresAt), micros(d.KnownUntil), d.Interval.Microseconds()}
	bounds := []any{created, int64(limits.OfClient), created, int64(limits.InAll)}
	save := bind(saveDevice, slices.Concat(keys, asked, []any{created, false, d.ClientID, d.ClientID}, bounds)...)
	if d.NoRow {
		sum = sha256.Sum256([]byte("device authorizations of clients without a row"))
		save = bind(saveDeviceWithoutRow,
			slices.Concat(keys, []any{d.ClientID}, asked, []any{d.ClientID, created, false, d.ClientID}, bounds)...)
	}
	steps := append(db.dialect.locked(int64(binary.BigEndian.Uint64(sum[:]))), save)
	n, err := db.as("SaveDevice").batch(ctx, false, steps...)
	if err == nil && n[len(n)-1] == 0 {
		err = userstore.ErrConflict
	}
	return err
}

func (db *DB) DeviceByCode(ctx context.Context, hash userstore.CodeHash) (userstore.DeviceAuthorization, error) {
	return db.as("DeviceByCode").device(ctx, bind(deviceByCode, hash[:]))
}

func (db *DB) DeviceByUserCode(ctx context.Context, hash userstore.UserCodeHash) (userstore.DeviceAuthorization, error) {
	return db.as("DeviceByUserCode").device(ctx, bind(deviceByUserCode, hash[:]))
}

func (db *DB) DeviceByID(ctx context.Context, id string) (userstore.DeviceAuthorization, error) {
	return db.as("DeviceByID").device(ctx, bind(deviceByID, id))
}

func (db named) device(ctx context.Context, s stmt) (d userstore.DeviceAuthorization, err error) {
	err = db.one(ctx, s, func(row scanner) (err error) {
		var hash, userCode []byte
		var scopes, resources, state string
		var created, expires, remove, interval int64
		d = userstore.DeviceAuthorization{}
		err = row.Scan(&d.ID, &hash, &userCode, &d.ClientID, &scopes, &resources, &d.Address, &d.UserAgent,
			&created, &expires, &remove, &interval, &state, &d.AnsweredBy)
		if err != nil {
			return err
		}
		if copy(d.CodeHash[:], hash) != len(d.CodeHash) || copy(d.UserCode[:], userCode) != len(d.UserCode) {
			return fmt.Errorf("a stored device authorization has hashes of %d and %d bytes", len(hash), len(userCode))
		}
		if d.Scopes, err = unlist(scopes); err != nil {
			return err
		}
		d.Resources, err = unlist(resources)
		d.CreatedAt, d.ExpiresAt, d.KnownUntil = instant(created), instant(expires), instant(remove)
		d.Interval, d.State = time.Duration(interval)*time.Microsecond, userstore.DeviceState(state)
		return err
	})
	return d, err
}

// PollDevice is one statement: polls at once meet at the row, and each finds what the one before has
// written. If it changed no row, a read tells whether the device still waits.
func (db *DB) PollDevice(ctx context.Context, p userstore.DevicePoll) (early bool, err error) {
	now, step := micros(p.Now), p.Step.Microseconds()
	polled := false
	s := bind(pollDevice, now, now, step, now, step, now-p.Slack.Microseconds(), p.CodeHash[:], now, now, step,
		p.Longest.Microseconds())
	err = db.as("PollDevice").retrying(ctx, false, func(ctx context.Context, _ bool) error {
		polled = false
		_, err := db.engine.write(ctx, s, func(row scanner) error {
			polled = true
			return row.Scan(&early)
		})
		return err
	})
	if err != nil || polled {
		return early, err
	}
	var id string
	err = db.as("PollDevice").one(ctx, bind(waitingDevice, p.CodeHash[:], now),
		func(row scanner) error { return row.Scan(&id) })
	if errors.Is(err, userstore.ErrNotFound) {
		err = userstore.ErrConflict
	}
	return err == nil, err
}

func (db *DB) DenyDevice(ctx context.Context, a userstore.DeviceAnswer, now time.Time, events ...audit.Event) error {
	err := db.as("DenyDevice").change(ctx, false, bind(denyDevice, a.By, a.ID, micros(now)), userstore.ErrConflict, events)
	return ifUnstorable(err, userstore.ErrConflict)
}

// allowing returns the statement that comes before that of a code which answers a device
// authorization.
func allowing(c userstore.Code) []stmt {
	if c.Answers == (userstore.DeviceAnswer{}) {
		return nil
	}
	return []stmt{bind(allowDevice, c.Answers.By, c.Answers.ID, c.Hash[:], c.ClientID, micros(c.CreatedAt))}
}
