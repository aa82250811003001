package configs

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys"
)

// check is one rule. It returns what is wrong and what to do, or nothing. It is
// not asked when the key that it blames is blamed already, nor when another of its
// keys is and no default can stand in for that.
type check struct {
	keys []string // the first one is blamed
	rule func(Config) string
	each func(Config) []string // instead of rule: of a list, what is wrong with each member
}

func (ch check) reasons(c Config) []string {
	if ch.each != nil {
		return ch.each(c)
	}
	if reason := ch.rule(c); reason != "" {
		return []string{reason}
	}
	return nil
}

// checks is every rule, in the order of Config; rules over several keys come last.
var checks = []check{
	{keys: []string{"listen"}, rule: func(c Config) string { return badListen(c.Listen) }},
	{keys: []string{"issuer"}, rule: func(c Config) string { return badIssuer(c.Issuer) }},
	{keys: []string{"database_url"}, rule: func(c Config) string { return badDatabase(c.DatabaseURL.Reveal()) }},
	{keys: []string{"database_migrate_url"}, rule: func(c Config) string { return badDatabase(c.DatabaseMigrateURL.Reveal()) }},
	{keys: []string{"data_dir"}, rule: func(c Config) string {
		if c.DataDir == "" || strings.ContainsRune(c.DataDir, 0) {
			return "is not the path of a folder; write one such as data or /var/lib/signet"
		}
		return ""
	}},
	{keys: []string{"metrics.listen"}, rule: func(c Config) string {
		if c.Metrics.Listen == "" {
			return ""
		}
		return badListen(c.Metrics.Listen)
	}},
	{keys: []string{"log.format"}, rule: func(c Config) string { return notOneOf(c.Log.Format, "auto", "text", "json") }},
	{keys: []string{"log.level"}, rule: func(c Config) string { return notOneOf(c.Log.Level, "debug", "info", "warn", "error") }},
	{keys: []string{"keys.encryption_key"}, rule: func(c Config) string { return badKEK(c.Keys.EncryptionKey) }},
	{keys: []string{"keys.encryption_key_previous"}, rule: func(c Config) string { return badKEK(c.Keys.EncryptionKeyPrevious) }},
	{keys: []string{"keys.algorithms"}, each: badAlgorithms},
	{keys: []string{"keys.rotation"}, rule: func(c Config) string { return notWithin(c.Keys.Rotation, time.Second, 43800*time.Hour) }},
	{keys: []string{"keys.propagation"}, rule: func(c Config) string { return notWithin(c.Keys.Propagation, time.Second, 43800*time.Hour) }},
	{keys: []string{"keys.jwks_max_age"}, rule: func(c Config) string { return notWithin(c.Keys.JWKSMaxAge, time.Second, 24*time.Hour) }},
	{keys: []string{"clock_skew"}, rule: func(c Config) string { return notWithin(c.ClockSkew, time.Second, 5*time.Minute) }},
	{keys: []string{"tokens.audience"}, each: func(c Config) []string {
		return eachOf(c.Tokens.Audience, func(a string) string {
			if a == "" || strings.ContainsAny(a, " \t\r\n") {
				return fmt.Sprintf("%q is not an audience; write texts without spaces, such as https://api.example.com", a)
			}
			return ""
		})
	}},
	{keys: []string{"tokens.access_lifetime"}, rule: func(c Config) string { return notWithin(c.Tokens.AccessLifetime, time.Second, 24*time.Hour) }},
	{keys: []string{"tokens.id_lifetime"}, rule: func(c Config) string { return notWithin(c.Tokens.IDLifetime, time.Second, 24*time.Hour) }},
	{keys: []string{"refresh.absolute"}, rule: func(c Config) string { return notWithin(c.Refresh.Absolute, time.Second, 43800*time.Hour) }},
	{keys: []string{"refresh.idle"}, rule: func(c Config) string { return notWithin(c.Refresh.Idle, time.Second, 43800*time.Hour) }},
	{keys: []string{"refresh.reuse_window"}, rule: func(c Config) string { return notWithin(c.Refresh.ReuseWindow, 0, 10*time.Minute) }},
	{keys: []string{"resources"}, each: badResources},
	{keys: []string{"passwords.min_length"}, rule: func(c Config) string {
		if n := c.Passwords.MinLength; n < 8 || n > 64 {
			return fmt.Sprintf("%d is not between 8 and 64; give a number between them: shorter passwords are guessed, and a longer minimum keeps people out", n)
		}
		return ""
	}},
	{keys: []string{"passwords.breach_check_url"}, rule: func(c Config) string { return badBreachCheck(c.Passwords.BreachCheckURL) }},
	{keys: []string{"passwords.argon2.time"}, rule: func(c Config) string { return notBetween(c.Passwords.Argon2.Time, 1, 16) }},
	{keys: []string{"passwords.argon2.threads"}, rule: func(c Config) string { return notBetween(c.Passwords.Argon2.Threads, 1, 16) }},
	{keys: []string{"passwords.argon2.memory", "passwords.argon2.time"}, rule: func(c Config) string { return weakArgon2(c.Passwords.Argon2) }},
	{keys: []string{"passwords.hash_slots"}, rule: func(c Config) string { return notBetween(c.Passwords.HashSlots, 0, 1024) }},
	{keys: []string{"throttle.signups_per_network"}, rule: func(c Config) string { return notBetween(c.Throttle.SignupsPerNetwork, 0, 100_000) }},
	{keys: []string{"throttle.failures_per_network"}, rule: func(c Config) string { return notBetween(c.Throttle.FailuresPerNetwork, 0, 100_000) }},
	{keys: []string{"http.cors_origins"}, each: badOrigins},
	{keys: []string{"http.trusted_proxies"}, each: badProxies},

	{keys: []string{"metrics.listen", "listen"}, rule: func(c Config) string {
		if c.Metrics.Listen == c.Listen && !strings.HasSuffix(c.Listen, ":0") {
			return "is the address of the public listener; metrics need one of their own, such as 127.0.0.1:9090, or the empty text to turn them off"
		}
		return ""
	}},
	{keys: []string{"database_migrate_url", "database_url", "database_url_file", "database_migrate_url_file"}, rule: func(c Config) string {
		if c.DatabaseMigrateURL != "" && !(isPostgres(c.DatabaseMigrateURL.Reveal()) && c.IsPostgres()) {
			return "is a second way to the same PostgreSQL database; it needs database_url to be postgres://… too"
		}
		return ""
	}},
	{keys: []string{"keys.encryption_key", "database_url", "database_url_file", "keys.encryption_key_file"}, rule: func(c Config) string {
		if c.IsPostgres() && c.Keys.EncryptionKey == "" {
			return "is needed with PostgreSQL; make one with `signet keys new-kek`, keep it safe, and give it as SIGNET_KEYS_ENCRYPTION_KEY or name its file in SIGNET_KEYS_ENCRYPTION_KEY_FILE"
		}
		return ""
	}},
	{keys: []string{"keys.encryption_key_previous", "keys.encryption_key", "keys.encryption_key_file"}, rule: func(c Config) string {
		switch {
		case c.Keys.EncryptionKeyPrevious == "":
			return ""
		case c.Keys.EncryptionKey == "":
			return "is the key before keys.encryption_key, which is not given; give both"
		case c.Keys.EncryptionKeyPrevious == c.Keys.EncryptionKey:
			return "is the same as keys.encryption_key; remove it, or make a new one with `signet keys new-kek`"
		}
		return ""
	}},
	{keys: []string{"tokens.access_alg", "keys.algorithms"}, rule: func(c Config) string { return algorithmOff(c, c.Tokens.AccessAlg) }},
	{keys: []string{"refresh.idle", "refresh.absolute"}, rule: func(c Config) string {
		if c.Refresh.Idle > c.Refresh.Absolute {
			return fmt.Sprintf("%s is longer than refresh.absolute, %s; a login cannot be idle longer than it lives", showDuration(c.Refresh.Idle), showDuration(c.Refresh.Absolute))
		}
		return ""
	}},
	{keys: []string{"refresh.reuse_window", "refresh.idle"}, rule: func(c Config) string {
		if c.Refresh.ReuseWindow >= c.Refresh.Idle {
			return fmt.Sprintf("%s is not shorter than refresh.idle, %s", showDuration(c.Refresh.ReuseWindow), showDuration(c.Refresh.Idle))
		}
		return ""
	}},
	{keys: []string{"http.tls_cert", "http.tls_key"}, rule: func(c Config) string {
		if (c.HTTP.TLSCert == "") != (c.HTTP.TLSKey == "") {
			return "and http.tls_key belong together; give both, or neither"
		}
		return ""
	}},
}

// Validate reports every fault at once, as an *Error.
func (c Config) Validate() error {
	if faults := c.check(nil); len(faults) > 0 {
		return &Error{Faults: faults}
	}
	return nil
}

// check runs the table; keys that are broken already are not looked at again. Where
// a default can stand in for a faulty value, the rules that only need that value go
// on with the default, so that one start tells everything.
func (c Config) check(broken map[string]bool) []Fault {
	var faults []Fault
	bad := map[string]bool{}
	for key := range broken {
		bad[key] = true
	}
	for _, ch := range checks {
		if bad[ch.keys[0]] || slices.ContainsFunc(ch.keys, func(key string) bool { return bad[key] && !standsIn(key) }) {
			continue
		}
		for _, reason := range ch.reasons(c) {
			bad[ch.keys[0]] = true
			faults = append(faults, Fault{Key: ch.keys[0], Where: c.Source(ch.keys[0]), Reason: reason + guessed(ch.keys, bad)})
		}
		if bad[ch.keys[0]] {
			c.standIn(ch.keys[0])
		}
	}
	if bad["keys.algorithms"] {
		c.Keys.Algorithms = Default().Keys.Algorithms // the timeline is the same for all
	}
	for _, fault := range c.timelineFaults() {
		if !bad[fault.Key] {
			fault.Reason += guessed(timelineKeys, bad)
			faults = append(faults, fault)
		}
	}
	return faults
}

// standsIn tells whether rules over several keys may take the default of key for
// granted while its own value is faulty: for quantities, but not for names.
func standsIn(key string) bool {
	switch fieldByKey[key].of(&Config{}).Interface().(type) {
	case time.Duration, int, Size:
		return true
	}
	return false
}

// standIn puts a default, or nothing, in the place of a faulty value.
func (c *Config) standIn(key string) {
	value, defaults := fieldByKey[key].of(c), Default()
	if standsIn(key) {
		value.Set(fieldByKey[key].of(&defaults))
		return
	}
	value.SetZero()
}

// guessed says that a reason was found with defaults in the place of faulty values.
func guessed(used []string, bad map[string]bool) string {
	var names []string
	for _, key := range used {
		if bad[key] && key != used[0] && standsIn(key) {
			names = append(names, key)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (found with the default of " + strings.Join(names, " and ") + ")"
}

// timelineKeys are what the timeline of signing keys is computed from.
var timelineKeys = []string{"keys.algorithms", "keys.rotation", "keys.propagation", "keys.jwks_max_age", "clock_skew",
	"tokens.access_lifetime", "tokens.id_lifetime", "refresh.absolute", "resources"}

// timelineFaults asks the package that lives by the timeline. Its sentences start
// with the key they blame.
func (c Config) timelineFaults() []Fault {
	err := c.KeyPolicy().Validate()
	if err == nil {
		return nil
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	var faults []Fault
	for _, err := range all {
		fault := Fault{Key: "keys.propagation", Reason: err.Error()}
		for _, key := range timelineKeys {
			if rest, ok := strings.CutPrefix(fault.Reason, key+" "); ok {
				fault.Key, fault.Reason = key, strings.Replace(strings.TrimPrefix(rest, "("), ")", "", 1)
				break
			}
		}
		fault.Where = c.Source(fault.Key)
		faults = append(faults, fault)
	}
	return faults
}

// KeyPolicy is the timeline of signing keys that this configuration asks for.
func (c Config) KeyPolicy() keys.Policy {
	return keys.Policy{
		Algorithms:      c.Keys.Algorithms,
		Rotation:        c.Keys.Rotation,
		Propagation:     c.Keys.Propagation,
		JWKSMaxAge:      c.Keys.JWKSMaxAge,
		ClockSkew:       c.ClockSkew,
		LongestLifetime: c.LongestLifetime(),
		RefreshAbsolute: c.Refresh.Absolute,
	}
}

func badListen(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Sprintf("%q is not an address; write host:port, such as 127.0.0.1:8080 or :8080", address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Sprintf("%q is not a port; write a number from 0 to 65535", port)
	}
	if strings.ContainsAny(host, "/ @") {
		return fmt.Sprintf("%q is not a host; write host:port without a scheme", host)
	}
	return ""
}

// badIssuer holds the rules of OIDC Discovery section 3 and RFC 8414 section 2,
// and one more: the text must be in the one form that everybody else would write
// too, because verifiers compare it byte for byte.
func badIssuer(issuer string) string {
	if issuer == "" {
		return ""
	}
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Opaque != "" || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Sprintf("%q is not a URL; write one such as https://id.example.com", issuer)
	case u.User != nil:
		return "holds a user name or password; write the URL without"
	case strings.ContainsAny(issuer, "?#"):
		return fmt.Sprintf("has a query or fragment; write %q", strings.TrimRight(issuer[:strings.IndexAny(issuer, "?#")], "/"))
	}
	if right := u.Scheme + "://" + strings.ToLower(u.Host) + issuer[strings.Index(issuer, "://")+3+len(u.Host):]; right != issuer {
		return fmt.Sprintf("%q has upper-case letters in its scheme or host, and tokens are compared byte for byte; write %q", issuer, right)
	}
	if right := strings.TrimRight(issuer, "/"); right != issuer {
		return fmt.Sprintf("%q ends with a slash, and tokens are compared byte for byte; write %q", issuer, right)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return fmt.Sprintf("%q is not safe: tokens and passwords would cross the network in clear; write %q, and put a TLS proxy before the server or give http.tls_cert", issuer, "https"+strings.TrimPrefix(issuer, "http"))
	}
	if right := strings.TrimSuffix(u.Host, map[string]string{"https": ":443", "http": ":80"}[u.Scheme]); right != u.Host {
		return fmt.Sprintf("%q names the port that %s has anyway; write %q", issuer, u.Scheme, u.Scheme+"://"+right+u.EscapedPath())
	}
	if strings.HasSuffix(u.Host, ":") || !issuerHost.MatchString(u.Hostname()) {
		return fmt.Sprintf("%q has no proper host; write a name of letters, digits, dots and hyphens (punycode for others)", issuer)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return fmt.Sprintf("%q has no proper port; write a number from 1 to 65535", issuer)
		}
	}
	if u.Path != "" && !issuerPath.MatchString(issuer[strings.Index(issuer, u.Host)+len(u.Host):]) {
		return fmt.Sprintf("%q has a path that proxies would rewrite; use segments of letters, digits, . _ ~ and - only", issuer)
	}
	return ""
}

func badBreachCheck(address string) string {
	if address == "" {
		return ""
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Sprintf("%q is not a URL; write one such as https://api.pwnedpasswords.com/range", address)
	case u.User != nil || strings.ContainsAny(address, "?#"):
		return "holds a user name, a query or a fragment; the digits are appended to its path, so write it without"
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Sprintf("%q is not safe: anybody on the way could allow every password; write %q", address, "https"+strings.TrimPrefix(address, "http"))
	}
	return ""
}

var (
	issuerHost = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_.-]*[a-z0-9])?|[0-9a-f:.]+)$`)
	issuerPath = regexp.MustCompile(`^(/([A-Za-z0-9_~-]|\.[A-Za-z0-9_~-])[A-Za-z0-9._~-]*)+$`)
)

func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

var keywordDSN = regexp.MustCompile(`(^|\s)(host|hostaddr|port|user|password|dbname|sslmode|service)\s*=`)

// credentials is user:password@host without its scheme.
var credentials = regexp.MustCompile(`^(//)?[^/@:]*:[^@]*@`)

// isKEK tells that a text is a key-encryption key, wherever it stands.
func isKEK(text string) bool {
	_, err := jose.ParseKEK(strings.TrimSpace(text))
	return err == nil
}

// badDatabase never shows the text: it may hold a password.
func badDatabase(text string) string {
	switch {
	case text == "":
		return ""
	case isKEK(text):
		return "is a key-encryption key and no database; give that as keys.encryption_key, or name the right file"
	case isPostgres(text):
		u, err := url.Parse(text)
		if err != nil {
			return "is not a valid postgres:// URL; percent-encode what is special in the password (/ as %2F, @ as %40, # as %23)"
		}
		if u.Host == "" && u.Query().Get("host") == "" {
			return "names no host; write postgres://user@host/database"
		}
		if strings.Contains(text, "#") || strings.Contains(u.Path, "@") || u.User == nil && strings.Contains(u.RawQuery, "@") {
			// The password ends the host too early, and parts of it would be taken for one.
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

func badKEK(s Secret) string {
	if s == "" {
		return ""
	}
	if _, err := jose.ParseKEK(s.Reveal()); err != nil {
		return "is not a key-encryption key; make one with `signet keys new-kek`"
	}
	return ""
}

// Algorithms are those a signing key can have.
var Algorithms = []string{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

func badAlgorithms(c Config) []string {
	if len(c.Keys.Algorithms) == 0 {
		return []string{"is empty; name at least one of " + strings.Join(Algorithms, ", ")}
	}
	return eachOf(c.Keys.Algorithms, func(alg string) string { return notOneOf(alg, Algorithms...) })
}

func algorithmOff(c Config, alg string) string {
	if slices.Contains(c.Keys.Algorithms, alg) {
		return ""
	}
	return fmt.Sprintf("%s is not in keys.algorithms (%s); choose one of them or add it there", alg, strings.Join(c.Keys.Algorithms, ", "))
}

func badResources(c Config) []string {
	var faults, uris []string
	for i, r := range c.Resources {
		wrong := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("member %d: ", i+1)+fmt.Sprintf(format, args...))
		}
		u, err := url.Parse(r.URI)
		if err != nil || !u.IsAbs() || (u.Host == "" && u.Opaque == "") || strings.Contains(r.URI, "#") || strings.ContainsAny(r.URI, " \t\r\n") {
			wrong("uri %q is not an absolute URI without a fragment, such as https://api.example.com", r.URI)
		} else {
			uris = append(uris, r.URI)
		}
		for _, reason := range eachOf(r.Scopes, badScope) {
			wrong("scopes: %s", reason)
		}
		// Without algorithms, those are what is wrong.
		if r.AccessAlg != "" && len(c.Keys.Algorithms) > 0 {
			if reason := algorithmOff(c, r.AccessAlg); reason != "" {
				wrong("access_token_alg %s", reason)
			}
		}
		if r.AccessLifetime != 0 {
			if reason := notWithin(r.AccessLifetime, time.Second, 24*time.Hour); reason != "" {
				wrong("access_token_lifetime %s", reason)
			}
		}
	}
	return append(faults, twice(uris)...)
}

func badScope(s string) string {
	if s == "" || strings.ContainsFunc(s, func(b rune) bool { return b <= ' ' || b > '~' || b == '"' || b == '\\' }) {
		return fmt.Sprintf("%q is not a scope of RFC 6749; write printable ASCII without space, quote and backslash", s)
	}
	return ""
}

// owasp is the table of the Password Storage Cheat Sheet: pairs of equal strength.
var owasp = []struct {
	memory Size
	time   int
}{{46 * MiB, 1}, {19 * MiB, 2}, {12 * MiB, 3}, {9 * MiB, 4}, {7 * MiB, 5}}

func weakArgon2(a Argon2) string {
	if a.Memory > 1024*MiB {
		return fmt.Sprintf("%s is more than 1024MiB; every login would take that much", a.Memory)
	}
	if a.Memory%KiB != 0 {
		return "is not a whole number of KiB"
	}
	for _, row := range owasp {
		if a.Memory >= row.memory && a.Time >= row.time {
			return ""
		}
	}
	return fmt.Sprintf("%s with a time of %d is too cheap to guess; take at least 46MiB and 1, 19MiB and 2, 12MiB and 3, 9MiB and 4, or 7MiB and 5", a.Memory, a.Time)
}

func badOrigins(c Config) []string {
	return eachOf(c.HTTP.CORSOrigins, func(o string) string {
		if o == "*" {
			return "does not take *; name each origin, such as https://app.example.com"
		}
		u, err := url.Parse(o)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.Scheme+"://"+u.Host != o || strings.ToLower(o) != o {
			return fmt.Sprintf("%q is not an origin; write scheme, host and port only, in lower case, such as https://app.example.com", o)
		}
		return ""
	})
}

func badProxies(c Config) []string {
	return eachOf(c.HTTP.TrustedProxies, func(p string) string {
		if _, err := netip.ParseAddr(p); err == nil {
			return ""
		}
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return fmt.Sprintf("%q is neither an address nor a network; write 10.0.0.7 or 10.0.0.0/8", p)
		}
		if prefix.Masked() != prefix {
			return fmt.Sprintf("%q has bits outside its mask; write %s", p, prefix.Masked())
		}
		return ""
	})
}

func notOneOf(value string, allowed ...string) string {
	if slices.Contains(allowed, value) {
		return ""
	}
	return fmt.Sprintf("%q is not one of %s", value, strings.Join(allowed, ", "))
}

func notBetween(n, low, high int) string {
	return outside(n, low, high, strconv.Itoa, "number")
}

func notWithin(d, low, high time.Duration) string {
	return outside(d, low, high, showDuration, "duration")
}

func outside[T int | time.Duration](v, low, high T, write func(T) string, what string) string {
	tooFar := "too small"
	switch {
	case v >= low && v <= high:
		return ""
	case v > high && what == "duration":
		tooFar = "too long"
	case v > high:
		tooFar = "too large"
	case what == "duration":
		tooFar = "too short"
	}
	return fmt.Sprintf("%s is %s; give a %s between %s and %s", write(v), tooFar, what, write(low), write(high))
}

// eachOf is what is wrong with the members of a list, each in its turn, and what
// stands there twice.
func eachOf(list []string, wrong func(string) string) []string {
	var faults []string
	for _, v := range list {
		if reason := wrong(v); reason != "" {
			faults = append(faults, reason)
		}
	}
	return append(faults, twice(list)...)
}

func twice(list []string) []string {
	var faults []string
	seen := map[string]int{}
	for _, v := range list {
		if seen[v]++; seen[v] == 2 {
			faults = append(faults, fmt.Sprintf("names %s twice; keep one", v))
		}
	}
	return faults
}
