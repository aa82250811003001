package configs

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/languages"
	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/pgurl"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// The rules that validate.go's table names, one key or one kind of value each. What they
// answer completes the sentence "KEY …" and is empty when all is well.

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
		u, err := url.Parse(pgurl.Plain(text))
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
			if as, ok := userstore.Registered(uris, r.URI); ok && as != r.URI {
				wrong("uri %q and %q are one resource: without a path the slash does not count", as, r.URI)
				continue
			}
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
		for _, reason := range eachOf(r.Introspection, badClientID) {
			wrong("introspection_clients: %s", reason)
		}
		if r.AccessLifetime != 0 {
			if reason := notWithin(r.AccessLifetime, time.Second, 24*time.Hour); reason != "" {
				wrong("access_token_lifetime %s", reason)
			}
		}
	}
	return append(faults, twice(uris)...)
}

func badClientID(id string) string {
	if !userstore.ValidClientID(id) {
		return fmt.Sprintf("%q is not a client_id; `signet clients list` shows those there are", id)
	}
	return ""
}

// maxClaimBytes bounds a constant of the operator's: it is in every token.
const maxClaimBytes = 4096

func badClaims(c Config) []string {
	var faults, names []string
	for i, claim := range c.Claims {
		wrong := func(reason string) { faults = append(faults, fmt.Sprintf("member %d: %s", i+1, reason)) }
		custom := issuer.CustomClaim(claim)
		if err := custom.Check(); err != nil {
			wrong(err.Error())
			continue
		}
		if reasons := twice(claim.In); reasons != nil {
			wrong("in " + strings.Join(reasons, "; "))
		}
		if b, err := json.Marshal(claim.Value); err != nil || len(b) > maxClaimBytes {
			wrong(fmt.Sprintf("the value of %s is larger than %d bytes; every token would hold it", claim.Name, maxClaimBytes))
		}
		names = append(names, claim.Name)
	}
	return append(faults, twice(names)...)
}

func badResponseTypes(types []string) string {
	switch {
	case len(types) == 1 && types[0] == "code":
		return ""
	case len(types) == 0:
		return "is empty; write [code]"
	case slices.ContainsFunc(types, func(t string) bool { return t != "code" }):
		return "names a response type that is not in this version; write [code]"
	}
	return "names code twice; write [code]"
}

func badRedirectSchemes(c Config) []string {
	return eachOf(c.OAuth.Schemes(), func(scheme string) string {
		if !userstore.ValidRedirectScheme(scheme) {
			return fmt.Sprintf("%q is not a scheme that an app can claim; write one in lower case, such as cursor, and none that browsers use themselves", scheme)
		}
		return ""
	})
}

func badServiceName(name string) string {
	if utf8.RuneCountInString(name) > 64 || strings.Join(strings.Fields(name), " ") != name || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return "is not one line of at most 64 visible characters; shorten it, or leave out what cannot be seen"
	}
	return ""
}

func badLanguages(c Config) []string {
	if len(c.Pages.Languages) == 0 {
		return []string{"is empty; name at least one of " + strings.Join(languages.Tags(), ", ")}
	}
	return eachOf(c.Pages.Languages, func(tag string) string { return notOneOf(tag, languages.Tags()...) })
}

// badSMTP never shows the text: it may hold a password.
func badSMTP(text string) string {
	if text == "" {
		return ""
	}
	if _, err := mail.ParseSMTP(text); err != nil {
		return err.Error()
	}
	return ""
}

func badMailbox(text string) string {
	if text == "" {
		return ""
	}
	if _, err := mail.ParseMailbox(text); err != nil {
		return fmt.Sprintf("%q cannot be used: %s", text, err)
	}
	return ""
}

// badMailPassword: a user and a password belong together.
func badMailPassword(c Config) string {
	if c.Mail.SMTP == "" {
		if c.Mail.Password != "" {
			return "is the password of the user in mail.smtp, which is not given; give both"
		}
		return ""
	}
	s, err := mail.ParseSMTP(c.Mail.SMTP)
	switch {
	case err != nil: // told already
	case s.User() != "" && c.Mail.Password == "":
		return "is needed with the user in mail.smtp; give it as SIGNET_MAIL_PASSWORD or name its file in SIGNET_MAIL_PASSWORD_FILE"
	case s.User() == "" && c.Mail.Password != "":
		return "is given, but mail.smtp names no user; write smtps://user@host (percent-encode an @ in the user as %40)"
	}
	return ""
}

// badHost holds what outbound compares with: a host, or host:port, as it is dialled.
func badHost(text string) string {
	host := text
	if h, port, err := net.SplitHostPort(text); err == nil && !strings.Contains(text, "/") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Sprintf("%q has no proper port; write a number from 1 to 65535", text)
		}
		host = h
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	if !hostName.MatchString(host) || len(host) > 253 {
		return fmt.Sprintf("%q is not a host; write a name or an address, or host:port, without a scheme and without *", text)
	}
	return ""
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$`)

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
