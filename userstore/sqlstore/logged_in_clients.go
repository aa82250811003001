package sqlstore

import (
	"context"

	"github.com/signet-id/signet/userstore"
)

// loggedInClients has a row for each client, its latest login. The sessions of apps outlive grants; the
// grants are of clients that did not want to hear of a logout when the user logged in.
const loggedInClients = `SELECT client_id, session_id FROM (
		SELECT l.client_id, l.session_id, l.created_at,
			ROW_NUMBER() OVER (PARTITION BY l.client_id ORDER BY l.created_at DESC, l.session_id DESC) AS place
		FROM (SELECT client_id, session_id, created_at FROM app_sessions WHERE browser_session = $1 AND browser_session <> ''
			UNION SELECT client_id, session_id, created_at FROM grants WHERE browser_session = $2 AND browser_session <> '') AS l
	) AS latest WHERE place = 1 ORDER BY created_at DESC, session_id LIMIT 100`

func (db *DB) LoggedInClients(ctx context.Context, browserSession string) ([]userstore.ClientLogin, error) {
	var all []userstore.ClientLogin
	err := db.rows(ctx, bind(loggedInClients, browserSession, browserSession), func() { all = nil }, func(row scanner) error {
		var l userstore.ClientLogin
		err := row.Scan(&l.ClientID, &l.SessionID)
		all = append(all, l)
		return err
	})
	return all, ifUnstorable(err, nil)
}
