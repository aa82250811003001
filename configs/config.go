package configs

import (
	"time"

	"github.com/signet-id/signet/internal/languages"
)

// Config is the effective configuration. The tag `key` names the section or the member; the name of
// a key is the tags from the outside in, joined by dots.
type Config struct {
	// Address of the public listener, host:port. An empty host listens on every
	// address; port 0 takes a free one.
	Listen string `key:"listen"`

	// The issuer identifier: the URL under which clients reach this server, byte
	// for byte what `iss` says in every token. https, or http on a loopback host;
	// no query, no fragment, no slash at the end. A path is allowed. Empty:
	// http://localhost with the port of `listen`.
	Issuer string `key:"issuer"`

	// Where accounts, grants and keys live: postgres://user@host/database (several
	// hosts with commas between: the one that takes writes is used), or the path of
	// an SQLite file (taken literally). Not given: signet.db in `data_dir`.
	DatabaseURL Secret `key:"database_url"`

	// A file that holds `database_url`.
	DatabaseURLFile string `key:"database_url_file"`

	// A direct connection for migrations, when `database_url` goes through a
	// pooler. Not given: `database_url`.
	DatabaseMigrateURL Secret `key:"database_migrate_url"`

	// A file that holds `database_migrate_url`.
	DatabaseMigrateURLFile string `key:"database_migrate_url_file"`

	// The folder of the embedded database, its key-encryption key and its lock. It
	// is made when missing, readable by its owner only. Nothing is written elsewhere.
	DataDir string `key:"data_dir"`

	Metrics Metrics `key:"metrics"`
	Traces  Traces  `key:"traces"`
	Log     Log     `key:"log"`
	Keys    Keys    `key:"keys"`

	// How far clocks may be apart: between replicas and the database, and between
	// us and those who verify. At most 5m.
	ClockSkew time.Duration `key:"clock_skew"`

	Tokens Tokens `key:"tokens"`

	StatusLists StatusLists `key:"status_lists"`

	Refresh Refresh `key:"refresh"`

	Sessions Sessions `key:"sessions"`
	OAuth    OAuth    `key:"oauth"`

	// Resource servers that clients may ask access tokens for (RFC 8707): a list of
	// {uri, scopes, access_token_alg, access_token_lifetime, introspection_clients}. In the
	// environment: JSON.
	Resources []Resource `key:"resources"`

	MCP MCP `key:"mcp"`

	// Claims of your own in tokens and userinfo: a list of {name, from or value, in, scope}.
	// from is roles, is_staff or a standard claim such as email; value is the same for everybody; in
	// lists access_token, id_token, userinfo; with scope the claim is there only where that was granted.
	// In the environment: JSON.
	Claims []Claim `key:"claims"`

	Pages    Pages    `key:"pages"`
	Mail     Mail     `key:"mail"`
	Outbound Outbound `key:"outbound"`

	Accounts  Accounts  `key:"accounts"`
	Passkeys  Passkeys  `key:"passkeys"`
	Passwords Passwords `key:"passwords"`
	Throttle  Throttle  `key:"throttle"`
	Audit     Audit     `key:"audit"`
	HTTP      HTTP      `key:"http"`

	sources map[string]string // key → the source of its value, for people
}

// Default returns the configuration that holds when no key is set.
func Default() Config {
	return Config{
		Listen:    "127.0.0.1:8080",
		DataDir:   "data",
		Metrics:   Metrics{Listen: "127.0.0.1:9090"},
		Traces:    Traces{OneIn: 10},
		Log:       Log{Format: "auto", Level: "info"},
		ClockSkew: 60 * time.Second,
		Keys: Keys{
			Algorithms:  []string{"RS256", "EdDSA"},
			Rotation:    720 * time.Hour,
			Propagation: time.Hour,
			JWKSMaxAge:  300 * time.Second,
		},
		Tokens:    Tokens{AccessAlg: "RS256", AccessLifetime: 10 * time.Minute, IDLifetime: 10 * time.Minute},
		Refresh:   Refresh{Absolute: 720 * time.Hour, Idle: 336 * time.Hour, ReuseWindow: 60 * time.Second},
		Sessions:  Sessions{Absolute: 720 * time.Hour, Idle: 24 * time.Hour, TrustedBrowser: 720 * time.Hour},
		OAuth:     OAuth{RequirePKCE: "all", ResponseTypes: []string{"code"}, Registration: "closed", UnusedClients: 72 * time.Hour},
		Pages:     Pages{ServiceName: "Signet", Languages: languages.Tags()},
		Accounts:  Accounts{Signup: true, JSONLogin: true, SecondFactor: SecondFactorOptional},
		Passwords: Passwords{MinLength: 15, Argon2: Argon2{Memory: 19 * MiB, Time: 2, Threads: 1}},
		Throttle:  Throttle{SignupsPerNetwork: 30, FailuresPerNetwork: 100, FailuresPerBlock: 1000, RegistrationsPerNetwork: 20, Registrations: 200},
		HTTP:      HTTP{DrainNotice: 5 * time.Second},
		Audit:     Audit{Retention: 8760 * time.Hour},
	}
}

// Source returns where the value of key was set, for people: "SIGNET_LISTEN", "--listen", or the
// name of a file. It is empty if the key has its default.
func (c Config) Source(key string) string { return c.sources[key] }
