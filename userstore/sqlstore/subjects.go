package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/signet-id/signet/userstore"
)

const (
	readSubject  = `SELECT subject FROM subjects WHERE user_id = $1 AND sector = $2`
	listSubjects = `SELECT user_id, sector, subject, created_at FROM subjects WHERE user_id = $1 ORDER BY created_at, sector`
)

var userBySubject = `SELECT ` + userColumns + ` FROM subjects s JOIN users u ON u.id = s.user_id WHERE s.subject = $1`

var saveSubject = numbered(`INSERT INTO subjects (user_id, sector, subject, created_at)
	SELECT u.id, $, $, $ FROM users u WHERE u.id = $ AND u.is_active
	AND (SELECT COUNT(*) FROM subjects s WHERE s.user_id = $) < $
	ON CONFLICT DO NOTHING`)

// SubjectOf is one read, except for the first call of a user and sector. Then the calls of one user
// take turns, so that the bound holds, and the primary key decides which of them stores the
// subject; all of them read it afterwards.
func (db *DB) SubjectOf(ctx context.Context, s userstore.Subject, most int) (subject string, err error) {
	if s.Subject == "" || s.Sector == "" {
		return "", fmt.Errorf("%w: an empty subject or sector", userstore.ErrInvalid)
	}
	if err := indexable(s.UserID, s.Sector, s.Subject); err != nil {
		return "", err
	}
	read := func() error {
		return db.as("SubjectOf").one(ctx, bind(readSubject, s.UserID, s.Sector),
			func(row scanner) error { return row.Scan(&subject) })
	}
	if err := read(); !errors.Is(err, userstore.ErrNotFound) {
		return subject, err
	}
	sum := sha256.Sum256([]byte("subjects of " + s.UserID))
	steps := append(db.dialect.locked(int64(binary.BigEndian.Uint64(sum[:]))),
		bind(saveSubject, s.Sector, s.Subject, micros(s.CreatedAt), s.UserID, s.UserID, int64(most)))
	if _, err := db.as("SubjectOf").batch(ctx, true, steps...); err != nil {
		return "", err
	}
	if err = read(); errors.Is(err, userstore.ErrNotFound) {
		err = userstore.ErrConflict
	}
	return subject, err
}

func (db *DB) ListSubjects(ctx context.Context, userID string) ([]userstore.Subject, error) {
	var all []userstore.Subject
	err := db.as("ListSubjects").rows(ctx, bind(listSubjects, userID), func() { all = nil }, func(row scanner) error {
		var s userstore.Subject
		var created int64
		err := row.Scan(&s.UserID, &s.Sector, &s.Subject, &created)
		s.CreatedAt = instant(created)
		all = append(all, s)
		return err
	})
	return all, ifUnstorable(err, nil)
}

func (db *DB) UserBySubject(ctx context.Context, subject string) (u userstore.User, err error) {
	err = db.as("UserBySubject").one(ctx, bind(userBySubject, subject), func(row scanner) error {
		var r userRow
		if err := row.Scan(r.dest()...); err != nil {
			return err
		}
		u, err = r.user()
		return err
	})
	return u, err
}
