package configs

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/languages"
	"github.com/signet-id/signet/internal/pgurl"
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

	// Where accounts, grants and keys live: postgres://user@host/database, or the
	// path of an SQLite file (taken literally). Not given: signet.db in `data_dir`.
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
	Log     Log     `key:"log"`
	Keys    Keys    `key:"keys"`

	// How far clocks may be apart: between replicas and the database, and between
	// us and those who verify. At most 5m.
	ClockSkew time.Duration `key:"clock_skew"`

	Tokens  Tokens  `key:"tokens"`
	Refresh Refresh `key:"refresh"`

	Sessions Sessions `key:"sessions"`
	OAuth    OAuth    `key:"oauth"`

	// Resource servers that clients may ask access tokens for (RFC 8707): a list of
	// {uri, scopes, access_token_alg, access_token_lifetime, introspection_clients}. In the
	// environment: JSON.
	Resources []Resource `key:"resources"`

	// Claims of your own in tokens and userinfo: a list of {name, from or value, in, scope}.
	// from is roles, is_staff or a standard claim such as email; value is the same for everybody; in
	// lists access_token, id_token, userinfo; with scope the claim is there only where that was granted.
	// In the environment: JSON.
	Claims []Claim `key:"claims"`

	Pages    Pages    `key:"pages"`
	Mail     Mail     `key:"mail"`
	Outbound Outbound `key:"outbound"`

	Accounts  Accounts  `key:"accounts"`
	Passwords Passwords `key:"passwords"`
	Throttle  Throttle  `key:"throttle"`
	Audit     Audit     `key:"audit"`
	HTTP      HTTP      `key:"http"`

	sources map[string]string // key → the source of its value, for people
}

// Metrics is the section `metrics`.
type Metrics struct {
	// Address of the listener that serves /metrics and nothing else. Keep it
	// private. Empty: no metrics. When the default address is taken the server says so
	// and runs without; an address given here must be free.
	Listen string `key:"listen"`
}

// Log is the section `log`.
type Log struct {
	// text, json, or auto: text on a terminal and JSON otherwise.
	Format string `key:"format"`

	// debug, info, warn or error.
	Level string `key:"level"`
}

// Keys is the section `keys`: signing keys and the key that seals them.
type Keys struct {
	// The key-encryption key, which seals private keys and secrets in the database and
	// never enters it; `signet keys new-kek` makes one. Not given: with the embedded
	// database one is made beside it at the first start; PostgreSQL needs it given.
	EncryptionKey Secret `key:"encryption_key"`

	// A file that holds `keys.encryption_key`.
	EncryptionKeyFile string `key:"encryption_key_file"`

	// The key-encryption key before this one. It opens but never seals, so that
	// `signet keys rewrap` can run under live servers.
	EncryptionKeyPrevious Secret `key:"encryption_key_previous"`

	// A file that holds `keys.encryption_key_previous`.
	EncryptionKeyPreviousFile string `key:"encryption_key_previous_file"`

	// Signature algorithms that are on: RS256, PS256, ES256, EdDSA. The first one
	// stands in for another that has no active key yet.
	Algorithms []string `key:"algorithms"`

	// How long a key signs before its successor takes over. At least `keys.propagation`.
	Rotation time.Duration `key:"rotation"`

	// How long a key is published before it signs. It must cover
	// `keys.jwks_max_age`, `clock_skew` and the time a replica may be behind.
	Propagation time.Duration `key:"propagation"`

	// How long clients and caches may keep the published keys.
	JWKSMaxAge time.Duration `key:"jwks_max_age"`
}

// Tokens is the section `tokens`.
type Tokens struct {
	// `aud` of access tokens that name no resource. Not given: the issuer.
	Audience []string `key:"audience"`

	// Algorithm of access tokens, one of `keys.algorithms`.
	AccessAlg string `key:"access_alg"`

	// How long an access token is valid. From 1s to 24h.
	AccessLifetime time.Duration `key:"access_lifetime"`

	// How long an ID token is valid. From 1s to 24h.
	IDLifetime time.Duration `key:"id_lifetime"`
}

// Refresh is the section `refresh`: how long somebody stays signed in.
type Refresh struct {
	// From the login, however often it is refreshed. At most 5 years (43800h).
	Absolute time.Duration `key:"absolute"`

	// Without a refresh. At most `refresh.absolute`.
	Idle time.Duration `key:"idle"`

	// How long after a rotation the refresh token before it still gets the same
	// answer: racing tabs and lost answers. At most 10m, and less than `refresh.idle`.
	ReuseWindow time.Duration `key:"reuse_window"`
}

// Resource is one member of the list `resources`.
type Resource struct {
	URI            string        `key:"uri"`                   // absolute, without a fragment
	Scopes         []string      `key:"scopes"`                // that may be asked for with it; empty: any
	AccessAlg      string        `key:"access_token_alg"`      // empty: tokens.access_alg
	AccessLifetime time.Duration `key:"access_token_lifetime"` // zero: tokens.access_lifetime
	Introspection  []string      `key:"introspection_clients"` // clients that may ask about every token for it (RFC 7662)
}

// Claim is one member of the list `claims`.
type Claim struct {
	Name  string   `key:"name"`
	From  string   `key:"from"`  // roles, is_staff, or a standard claim of the user; or else
	Value any      `key:"value"` // what it is for everybody: a text, a number, true or false, a list or a section
	In    []string `key:"in"`    // access_token, id_token, userinfo
	Scope string   `key:"scope"` // empty: whatever was granted
}

// Sessions is the section `sessions`: how long a browser stays signed in to Signet itself,
// so that the next app need not ask for the password.
type Sessions struct {
	// From the login. At most 5 years (43800h).
	Absolute time.Duration `key:"absolute"`

	// Without a use. At most `sessions.absolute`.
	Idle time.Duration `key:"idle"`
}

// OAuth is the section `oauth`.
type OAuth struct {
	// Which clients must use PKCE in the authorization code flow: all, or public. Public
	// clients always must, and `signet clients update --pkce` decides for one of the others.
	RequirePKCE string `key:"require_pkce"`

	// Response types of the authorization endpoint. This version has code.
	ResponseTypes []string `key:"response_types"`

	// Schemes of one word that the redirect URIs of public clients may have, such as cursor or
	// vscode. Any app on a device can claim such a scheme, so name only those you know; a
	// scheme that is a domain turned around (com.example.app) needs no entry.
	RedirectSchemes []string `key:"redirect_schemes"`
}

// Schemes returns RedirectSchemes without the colon that some operators write after a scheme.
func (o OAuth) Schemes() []string {
	var out []string
	for _, s := range o.RedirectSchemes {
		out = append(out, strings.TrimSuffix(s, ":"))
	}
	return out
}

// Pages is the section `pages`: how the pages look that people log in at.
type Pages struct {
	// What people call the service, on every page.
	ServiceName string `key:"service_name"`

	// The languages that the pages speak. People see the first that they asked for, and the
	// first of this list when there is none.
	Languages []string `key:"languages"`

	// A CSS file that comes after ours. Read at the start; at most 256 KiB.
	Stylesheet string `key:"stylesheet"`

	// An image file: PNG, JPEG, WebP or SVG. Read at the start; at most 256 KiB.
	Logo string `key:"logo"`
}

// Mail is the section `mail`: how messages reach people. Without `mail.smtp` there is no mail. Only if
// the issuer is on a loopback host and the database is the embedded one, messages are written to files
// in the folder mail of `data_dir`.
type Mail struct {
	// The mail server: smtps://user@host:465 (TLS from the first byte) or smtp://user@host:587
	// (STARTTLS, which must be offered). A server on this machine may do without TLS and without a user.
	// Not given: there is no mail.
	SMTP string `key:"smtp"`

	// The password of the user in `mail.smtp`.
	Password Secret `key:"password"`

	// A file that holds `mail.password`.
	PasswordFile string `key:"password_file"`

	// Whom messages are from: no-reply@example.com, or Example <no-reply@example.com>. Without
	// a name it is `pages.service_name`. Needed with `mail.smtp`.
	From string `key:"from"`

	// Where answers go, if not to `mail.from`.
	ReplyTo string `key:"reply_to"`

	// A folder with texts of your own, such as en.json. Read at the start; docs/operators.md has the form.
	Templates string `key:"templates"`
}

// Outbound is the section `outbound`: calls that Signet makes to addresses that clients
// registered, such as their jwks_uri. They go to public addresses only, by https.
type Outbound struct {
	// Hosts that are called wherever they are, also on a private network: names or
	// addresses, each alone or as host:port.
	AllowHosts []string `key:"allow_hosts"`

	// PEM file of certificate authorities that are trusted for these calls, and for `mail.smtp`,
	// besides the system's. Read at the start.
	CAFile string `key:"ca_file"`
}

// Accounts is the section `accounts`.
type Accounts struct {
	// Whether strangers may make an account (POST /v1/signup). `signet users create` always can.
	Signup bool `key:"signup"`

	// Whether first-party apps may send a password as JSON (POST /v1/login).
	JSONLogin bool `key:"json_login"`

	// Whether people have to prove their email address: required (an account is made when its
	// address is proved, and nobody signs in to an unverified account), optional (a sign-up sends a
	// message, and nobody has to follow it) or off (a sign-up sends none). Not given: required with
	// `mail.smtp`, optional where messages go to files, else off.
	EmailVerification string `key:"email_verification"`

	// Whether users are told by mail that somebody signed in to their account at the pages in a browser
	// that did not do so in the last 90 days. Needs mail.
	NotifyNewDevice bool `key:"notify_new_device"`
}

// Passwords is the section `passwords`.
type Passwords struct {
	// Fewest characters of a new password. At least 8.
	MinLength int `key:"min_length"`

	// Where to ask whether a new password is known from a breach, such as
	// https://api.pwnedpasswords.com/range or a mirror of it. It hears the first five digits
	// of the password's SHA-1. When it does not answer within a second, the password is
	// allowed; logins never ask. Empty: nobody is asked.
	BreachCheckURL string `key:"breach_check_url"`

	Argon2 Argon2 `key:"argon2"`

	// How many passwords are hashed at once; others wait. Each takes
	// `passwords.argon2.memory`. One slot more is for secrets of clients. 0: as
	// many as processors (GOMAXPROCS).
	HashSlots int `key:"hash_slots"`
}

// Argon2 is the section `passwords.argon2`: the costs of argon2id. Memory and time must be at least
// one row of OWASP's table: 46MiB and 1, 19MiB and 2, 12MiB and 3, 9MiB and 4, 7MiB and 5.
type Argon2 struct {
	// Memory of one hash, in KiB or MiB. With `passwords.argon2.time` at least 46MiB
	// and 1, 19MiB and 2, 12MiB and 3, 9MiB and 4, or 7MiB and 5. At most 1024MiB.
	Memory Size `key:"memory"`

	// Passes over the memory. At most 16.
	Time int `key:"time"`

	// Lanes of one hash. At most 16.
	Threads int `key:"threads"`
}

// Throttle is the section `throttle`: how much one network may try. A network is an
// IPv4 address or the first 64 bits of an IPv6 address; see `http.trusted_proxies`.
// How often the password of one account may be guessed is not configurable.
type Throttle struct {
	// Sign-ups, and requests for messages, that a network may make within an hour. The
	// networks of one block may make ten times as many. 0: any number.
	SignupsPerNetwork int `key:"signups_per_network"`

	// Wrong passwords that a network may send within 15 minutes, for all accounts
	// together. Raise it when many people share one address. 0: any number.
	FailuresPerNetwork int `key:"failures_per_network"`

	// Wrong passwords that the networks of one block (the /24 of an IPv4 address, the /48
	// of an IPv6 address) may send within 15 minutes, for all accounts together; networks
	// and browsers that have logged in to an account do not count there. 0: any number.
	// Not given: no less than `throttle.failures_per_network`.
	FailuresPerBlock int `key:"failures_per_block"`
}

// Audit is the section `audit`.
type Audit struct {
	// How long entries of the audit log are kept; what is older is removed by and by.
	// From 24h to 20 years (175200h). 0: for ever.
	Retention time.Duration `key:"retention"`
}

// HTTP is the section `http`.
type HTTP struct {
	// Origins of browser apps that may call us, such as https://app.example.com,
	// written as browsers send them: no default port, no path, no pattern.
	CORSOrigins []string `key:"cors_origins"`

	// Networks (CIDR) or addresses of proxies whose X-Forwarded-For is believed.
	TrustedProxies []string `key:"trusted_proxies"`

	// PEM file of the certificate chain, for TLS without a proxy. A renewed file
	// is taken up within a minute.
	TLSCert string `key:"tls_cert"`

	// PEM file of its private key.
	TLSKey string `key:"tls_key"`

	// How long after SIGTERM connections are still accepted while /readyz says no
	// already. Make it longer than the period of the probe that decides where requests
	// go, times the failures that it needs. 0s: the listener closes at once.
	DrainNotice time.Duration `key:"drain_notice"`
}

// Default returns the configuration that holds when no key is set.
func Default() Config {
	return Config{
		Listen:    "127.0.0.1:8080",
		DataDir:   "data",
		Metrics:   Metrics{Listen: "127.0.0.1:9090"},
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
		Sessions:  Sessions{Absolute: 720 * time.Hour, Idle: 24 * time.Hour},
		OAuth:     OAuth{RequirePKCE: "all", ResponseTypes: []string{"code"}},
		Pages:     Pages{ServiceName: "Signet", Languages: languages.Tags()},
		Accounts:  Accounts{Signup: true, JSONLogin: true},
		Passwords: Passwords{MinLength: 15, Argon2: Argon2{Memory: 19 * MiB, Time: 2, Threads: 1}},
		Throttle:  Throttle{SignupsPerNetwork: 30, FailuresPerNetwork: 100, FailuresPerBlock: 1000},
		HTTP:      HTTP{DrainNotice: 5 * time.Second},
		Audit:     Audit{Retention: 8760 * time.Hour},
	}
}

// Source returns where the value of key was set, for people: "SIGNET_LISTEN", "--listen", or the
// name of a file. It is empty if the key has its default.
func (c Config) Source(key string) string { return c.sources[key] }

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

// FailuresPerBlock returns throttle.failures_per_block. If that key is not set, the result is at
// least the limit of a single network.
func (c Config) FailuresPerBlock() int {
	if c.Source("throttle.failures_per_block") != "" {
		return c.Throttle.FailuresPerBlock
	}
	return max(c.Throttle.FailuresPerBlock, c.Throttle.FailuresPerNetwork)
}

// KEKPath returns the path of the embedded database's key-encryption key, which is used when no key
// is configured.
func (c Config) KEKPath() string { return c.Database() + ".kek" }

// IssuerURL returns the issuer identifier. bound is the address of the public listener; it matters
// only for the default issuer with port 0.
func (c Config) IssuerURL(bound string) string {
	if c.Issuer != "" {
		return c.Issuer
	}
	if bound == "" {
		bound = c.Listen
	}
	scheme := "http"
	if c.HTTP.TLSCert != "" {
		scheme = "https"
	}
	_, port, err := net.SplitHostPort(bound)
	if err != nil || port == "" {
		return scheme + "://localhost"
	}
	return scheme + "://localhost:" + port
}

// Service returns the name of the service for people.
func (c Config) Service() string { return cmp.Or(c.Pages.ServiceName, Default().Pages.ServiceName) }

// MailFiles reports whether messages are written to files for trials: no mail server is configured,
// the issuer is on a loopback host, and the database is the embedded one.
func (c Config) MailFiles() bool {
	u, err := url.Parse(c.IssuerURL(""))
	return c.Mail.SMTP == "" && err == nil && isLoopback(u.Hostname()) && !c.IsPostgres()
}

// HasMail reports whether messages are sent or written to files.
func (c Config) HasMail() bool { return c.Mail.SMTP != "" || c.MailFiles() }

// EmailVerification returns accounts.email_verification, or what it is if it is not given.
func (c Config) EmailVerification() string {
	switch {
	case c.Accounts.EmailVerification != "":
		return c.Accounts.EmailVerification
	case c.Mail.SMTP != "":
		return VerificationRequired
	case c.MailFiles():
		return VerificationOptional
	}
	return VerificationOff
}

// The values of accounts.email_verification.
const (
	VerificationRequired = "required"
	VerificationOptional = "optional"
	VerificationOff      = "off"
)

// MailFolder returns the folder of the files of MailFiles.
func (c Config) MailFolder() string { return filepath.Join(c.DataDir, "mail") }

// LongestLifetime returns the longest lifetime of any signed token except refresh tokens.
func (c Config) LongestLifetime() time.Duration {
	d := max(c.Tokens.AccessLifetime, c.Tokens.IDLifetime)
	for _, r := range c.Resources {
		d = max(d, r.AccessLifetime)
	}
	return d
}

// Slots returns how many passwords are hashed at once.
func (p Passwords) Slots() int {
	if p.HashSlots > 0 {
		return p.HashSlots
	}
	return runtime.GOMAXPROCS(0)
}

// SlogLevel returns the level as slog's type.
func (l Log) SlogLevel() slog.Level {
	var v slog.Level
	if err := v.UnmarshalText([]byte(l.Level)); err != nil {
		return slog.LevelInfo
	}
	return v
}

func isPostgres(u string) bool {
	return strings.HasPrefix(u, "postgres://") || strings.HasPrefix(u, "postgresql://")
}

// Secret is a text that does not show itself when it is printed by fmt, logged by slog or encoded
// as JSON.
type Secret string

const redacted = "[redacted]"

// Reveal returns the text. Pass it on; do not keep or print it.
func (s Secret) Reveal() string { return string(s) }

// String returns "[redacted]", or "" if the secret is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString hides the text from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// LogValue hides the text from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the text from encoding/json and other encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

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

// Size is a number of bytes, written with a unit: 19MiB.
type Size int64

// Units of Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
)

// KiB returns the size in KiB, the unit of argon2.
func (s Size) KiB() int64 { return int64(s / KiB) }

func (s Size) String() string {
	if s%MiB == 0 {
		return fmt.Sprintf("%dMiB", s/MiB)
	}
	return fmt.Sprintf("%dKiB", s/KiB)
}

func parseSize(text string) (Size, error) {
	for _, unit := range []struct {
		suffix string
		size   Size
	}{{"KiB", KiB}, {"MiB", MiB}, {"GiB", MiB << 10}} {
		digits, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 32)
		if err != nil || n < 0 {
			break
		}
		return Size(n) * unit.size, nil
	}
	return 0, fmt.Errorf("%q is not a size; write a whole number with KiB, MiB or GiB, such as 19MiB", text)
}
