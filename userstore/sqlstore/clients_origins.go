package sqlstore

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// originOf returns the origin of a URI as browsers write it (RFC 6454 section 6.2): scheme and host
// in lower case, and the port unless it is the scheme's. It is empty for a URI without a host, such
// as one with a private-use scheme.
func originOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + strings.TrimSuffix(host, ":")
}

func redirectOrigins(uris []string) (origins []string) {
	for _, uri := range uris {
		if o := originOf(uri); o != "" && !slices.Contains(origins, o) {
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
	if origin == "" || originOf(origin) != origin { // no browser sends it
		return false, nil
	}
	quoted := strings.Trim(list([]string{origin}), "[]")
	err := db.one(ctx, bind(`SELECT 1 FROM clients WHERE disabled_at = 0 AND `+holdsOrigin+` LIMIT 1`, "["+quoted, ","+quoted),
		func(s scanner) error {
			var found int64
			return s.Scan(&found)
		})
	if errors.Is(err, userstore.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
