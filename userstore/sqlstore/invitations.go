package sqlstore

import (
	"context"
	"strings"
	"time"
)

// idsPerLookup is how many users one statement of InvitedUntil looks for. The text of the statement
// is always the same, so that it is prepared once; unused parameters repeat the last user.
const idsPerLookup = 50

// invitedUntil finds invitations whose message waits, and those whose message has been made. A
// message to an address that is no longer the user's is dropped later.
var invitedUntil = func() string {
	ids := "(" + strings.TrimSuffix(strings.Repeat("$, ", idsPerLookup), ", ") + ")"
	return numbered(`SELECT t.user_id, t.ends_at FROM one_time_tokens t JOIN users u ON u.id = t.user_id
		WHERE t.user_id IN ` + ids + ` AND t.kind = 'invite' AND u.password_hash = '' AND ` + liveToken + `
		UNION ALL SELECT o.user_id, o.ends_at FROM outbox o JOIN users u ON u.id = o.user_id
		WHERE o.user_id IN ` + ids + ` AND o.kind = 'invite' AND o.ends_at > $
			AND u.password_hash = '' AND u.is_active AND o.address = u.email`)
}()

func (db *DB) InvitedUntil(ctx context.Context, ids []string, now time.Time) (map[string]time.Time, error) {
	until := map[string]time.Time{}
	for start := 0; start < len(ids); start += idsPerLookup {
		part := ids[start:min(start+idsPerLookup, len(ids))]
		args := make([]any, 0, 2*(idsPerLookup+1))
		for range 2 {
			for i := range idsPerLookup {
				args = append(args, part[min(i, len(part)-1)])
			}
			args = append(args, micros(now))
		}
		err := db.as("InvitedUntil").rows(ctx, bind(invitedUntil, args...), func() {}, func(row scanner) error {
			var id string
			var ends int64
			if err := row.Scan(&id, &ends); err != nil {
				return err
			}
			if end := instant(ends); end.After(until[id]) {
				until[id] = end
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return until, nil
}
