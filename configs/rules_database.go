package configs

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/signet-id/signet/internal/pgurl"
)

var keywordDSN = regexp.MustCompile(`(^|\s)(host|hostaddr|port|user|password|dbname|sslmode|service)\s*=`)

// credentials matches user:password@host without a scheme.
var credentials = regexp.MustCompile(`^(//)?[^/@:]*:[^@]*@`)

// badDatabase never shows the text, because it may hold a password.
func badDatabase(text string) string {
	switch {
	case text == "":
		return ""
	case isKEK(text):
		return "is a key-encryption key and no database; give that as keys.encryption_key, or name the right file"
	case isPostgres(text):
		u, err := url.Parse(pgurl.Plain(text))
		if err != nil {
			return "is not a valid postgres:// URL; percent-encode what is special in the password (/ as %2F, @ as %40, # as %23)"
		}
		if u.Host == "" && u.Query().Get("host") == "" {
			return "names no host; write postgres://user@host/database"
		}
		if strings.Contains(text, "#") || strings.Contains(u.Path, "@") ||
			u.User == nil && strings.Contains(u.RawQuery, "@") {
			// A special character in the password ends the host too early, and a part of the
			// password would be taken for the host.
			return "has a / ? or # in its user or password; percent-encode it (/ as %2F, ? as %3F, # as %23)"
		}
		return ""
	case strings.Contains(text, "://") || strings.HasPrefix(text, "postgres"):
		return "is neither postgres://user@host/database nor the path of an SQLite file"
	case credentials.MatchString(text):
		return "has a user and a password but no scheme; write postgres://user:password@host/database (or, for a file of such a name, ./ before it)"
	case keywordDSN.MatchString(text):
		return "is in the key=value form; write it as postgres://user@host/database"
	case strings.ContainsRune(text, 0):
		return "holds a NUL byte; write a path"
	}
	return ""
}
