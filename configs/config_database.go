package configs

import (
	"net/url"
	"path/filepath"
	"strings"

	"github.com/signet-id/signet/internal/pgurl"
)

// IsPostgres reports whether the store is PostgreSQL.
func (c Config) IsPostgres() bool { return isPostgres(c.DatabaseURL.Reveal()) }

// Database returns the database that the store opens: a Postgres URL or the path of an SQLite file.
func (c Config) Database() string {
	if u := c.DatabaseURL.Reveal(); u != "" {
		return u
	}
	return filepath.Join(c.DataDir, "signet.db")
}

// MigrateDatabase returns the database that migrations open.
func (c Config) MigrateDatabase() string {
	if u := c.DatabaseMigrateURL.Reveal(); u != "" {
		return u
	}
	return c.Database()
}

func isPostgres(u string) bool {
	return strings.HasPrefix(u, "postgres://") || strings.HasPrefix(u, "postgresql://")
}

// redactURL returns a database URL without the parts that can hold a password: the password of the
// userinfo, and every query parameter except harmless ones.
func redactURL(text string) string {
	if !isPostgres(text) {
		if isKEK(text) || credentials.MatchString(text) {
			return redacted // Load refuses this value, but a Config that was not checked must not show it either
		}
		return text
	}
	u, err := url.Parse(pgurl.Plain(text))
	if err != nil {
		return redacted
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if u.User != nil {
		shown.User = url.User(u.User.Username())
	}
	q := url.Values{}
	for name, values := range u.Query() {
		switch name {
		case "sslmode", "host", "port", "dbname", "user", "application_name", "connect_timeout", "target_session_attrs", "pool_max_conns":
			q[name] = values
		}
	}
	shown.RawQuery = q.Encode()
	return shown.String()
}
