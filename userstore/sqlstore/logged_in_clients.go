package sqlstore

import (
	"context"

	"github.com/signet-id/signet/userstore"
)

// loggedInClients has a row for each client: the latest of its grants.
const loggedInClients = `SELECT g.client_id, g.session_id FROM grants g WHERE g.browser_session = $1 AND g.browser_session <> ''
	AND NOT EXISTS (SELECT 1 FROM grants n WHERE n.browser_session = g.browser_session AND n.browser_session <> ''
		AND n.client_id = g.client_id AND (n.created_at > g.created_at OR n.created_at = g.created_at AND n.session_id > g.session_id))
	ORDER BY g.created_at DESC, g.session_id LIMIT 100`

func (db *DB) LoggedInClients(ctx context.Context, browserSession string) ([]userstore.ClientLogin, error) {
	var all []userstore.ClientLogin
	err := db.rows(ctx, bind(loggedInClients, browserSession), func() { all = nil }, func(row scanner) error {
		var l userstore.ClientLogin
		err := row.Scan(&l.ClientID, &l.SessionID)
		all = append(all, l)
		return err
	})
	return all, ifUnstorable(err, nil)
}
