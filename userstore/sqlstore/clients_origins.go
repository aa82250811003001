package sqlstore

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/signet-id/signet/userstore"
)

func redirectOrigins(uris []string) (origins []string) {
	for _, uri := range uris {
		if o := userstore.OriginOf(uri); o != "" && !slices.Contains(origins, o) {
			origins = append(origins, o)
		}
	}
	return origins
}

// holdsOrigin searches the list for a string, written as JSON after either sign that precedes a
// string of a list. A quote inside a string is escaped, so that no other text looks like a string.
const holdsOrigin = `replace(replace(redirect_origins, $1, ''), $2, '') <> redirect_origins`

// RedirectOrigin reads through all clients, of which there are few. Their origins are stored, so
// that no redirect URI is parsed.
func (db *DB) RedirectOrigin(ctx context.Context, origin string) (bool, error) {
	if origin == "" || userstore.OriginOf(origin) != origin { // no browser sends it
		return false, nil
	}
	quoted := strings.Trim(list([]string{origin}), "[]")
	holding := bind(`SELECT 1 FROM clients WHERE disabled_at = 0 AND `+holdsOrigin+` LIMIT 1`, "["+quoted, ","+quoted)
	err := db.as("RedirectOrigin").one(ctx, holding, func(s scanner) error {
		var found int64
		return s.Scan(&found)
	})
	if errors.Is(err, userstore.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
