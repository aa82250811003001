package configs

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
)

// check is one rule over one or more keys. It is skipped if its first key has a fault already, or
// if another of its keys has one and no default can replace that key's value.
type check struct {
	keys []string              // a fault is reported for the first one
	rule func(Config) string   // returns what is wrong and what to do, or an empty text
	each func(Config) []string // instead of rule, for a list: one text for each faulty member
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

// checks has every rule, in the order of Config; rules over several keys come last.
var checks = []check{
	{keys: []string{"listen"}, rule: func(c Config) string { return badListen(c.Listen) }},
	{keys: []string{"issuer"}, rule: func(c Config) string { return badIssuer(c.Issuer) }},
	{keys: []string{"database_url"}, rule: func(c Config) string { return badDatabase(c.DatabaseURL.Reveal()) }},
	{keys: []string{"database_migrate_url"}, rule: func(c Config) string {
		return badDatabase(c.DatabaseMigrateURL.Reveal())
	}},
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
	{keys: []string{"traces.endpoint"}, rule: func(c Config) string { return badCollector(c.Traces.Endpoint) }},
	{keys: []string{"traces.one_in"}, rule: func(c Config) string {
		if c.Traces.OneIn < 1 || c.Traces.OneIn > 1_000_000 {
			return "must lie between 1 (every request) and 1000000"
		}
		return ""
	}},
	{keys: []string{"traces.from_proxies"}, rule: func(c Config) string {
		if c.Traces.FromProxies && len(c.HTTP.TrustedProxies) == 0 {
			return "needs http.trusted_proxies, which names the proxies"
		}
		return ""
	}},
	{keys: []string{"log.format"}, rule: func(c Config) string {
		return notOneOf(c.Log.Format, "auto", "text", "json")
	}},
	{keys: []string{"log.level"}, rule: func(c Config) string {
		return notOneOf(c.Log.Level, "debug", "info", "warn", "error")
	}},
	{keys: []string{"keys.encryption_key"}, rule: func(c Config) string { return badKEK(c.Keys.EncryptionKey) }},
	{keys: []string{"keys.encryption_key_previous"}, rule: func(c Config) string {
		return badKEK(c.Keys.EncryptionKeyPrevious)
	}},
	{keys: []string{"keys.algorithms"}, each: badAlgorithms},
	{keys: []string{"keys.rotation"}, rule: func(c Config) string {
		return notWithin(c.Keys.Rotation, time.Second, 43800*time.Hour)
	}},
	{keys: []string{"keys.propagation"}, rule: func(c Config) string {
		return notWithin(c.Keys.Propagation, time.Second, 43800*time.Hour)
	}},
	{keys: []string{"keys.jwks_max_age"}, rule: func(c Config) string {
		return notWithin(c.Keys.JWKSMaxAge, time.Second, 24*time.Hour)
	}},
	{keys: []string{"clock_skew"}, rule: func(c Config) string {
		return notWithin(c.ClockSkew, time.Second, 5*time.Minute)
	}},
	{keys: []string{"tokens.audience"}, each: func(c Config) []string {
		return eachOf(c.Tokens.Audience, func(a string) string {
			if a == "" || strings.ContainsAny(a, " \t\r\n") {
				return fmt.Sprintf("%q is not an audience; write texts without spaces, such as https://api.example.com", a)
			}
			return ""
		})
	}},
	{keys: []string{"tokens.access_lifetime"}, rule: func(c Config) string {
		return notWithin(c.Tokens.AccessLifetime, time.Second, 24*time.Hour)
	}},
	{keys: []string{"tokens.id_lifetime"}, rule: func(c Config) string {
		return notWithin(c.Tokens.IDLifetime, time.Second, 24*time.Hour)
	}},
	{keys: []string{"refresh.absolute"}, rule: func(c Config) string {
		return notWithin(c.Refresh.Absolute, time.Second, 43800*time.Hour)
	}},
	{keys: []string{"refresh.idle"}, rule: func(c Config) string {
		return notWithin(c.Refresh.Idle, time.Second, 43800*time.Hour)
	}},
	{keys: []string{"refresh.reuse_window"}, rule: func(c Config) string {
		return notWithin(c.Refresh.ReuseWindow, 0, 10*time.Minute)
	}},
	{keys: []string{"sessions.absolute"}, rule: func(c Config) string {
		return notWithin(c.Sessions.Absolute, time.Second, 43800*time.Hour)
	}},
	{keys: []string{"sessions.idle"}, rule: func(c Config) string {
		return notWithin(c.Sessions.Idle, time.Second, 43800*time.Hour)
	}},
	{keys: []string{"sessions.trusted_browser"}, rule: func(c Config) string {
		if c.Sessions.TrustedBrowser == 0 {
			return ""
		}
		if reason := notWithin(c.Sessions.TrustedBrowser, time.Second, 8760*time.Hour); reason != "" {
			return reason + ", or 0 to trust no browser"
		}
		return ""
	}},
	{keys: []string{"oauth.require_pkce"}, rule: func(c Config) string {
		return notOneOf(c.OAuth.RequirePKCE, issuer.RequirePKCEOfAll, issuer.RequirePKCEOfPublic)
	}},
	{keys: []string{"oauth.response_types"}, each: badResponseTypes},
	{keys: []string{"oauth.redirect_schemes"}, each: badRedirectSchemes},
	{keys: []string{"oauth.registration"}, rule: func(c Config) string {
		return notOneOf(c.OAuth.Registration, issuer.RegistrationClosed, issuer.RegistrationToken, issuer.RegistrationOpen)
	}},
	{keys: []string{"oauth.unused_clients"}, rule: func(c Config) string {
		return notWithin(c.OAuth.UnusedClients, time.Hour, 8760*time.Hour)
	}},
	{keys: []string{"oauth.client_id_metadata_hosts.allow"}, each: func(c Config) []string {
		return eachOf(c.OAuth.ClientIDMetadataHosts.Allow, badMetadataHost)
	}},
	{keys: []string{"oauth.client_id_metadata_hosts.deny"}, each: func(c Config) []string {
		return eachOf(c.OAuth.ClientIDMetadataHosts.Deny, badMetadataHost)
	}},
	{keys: []string{"oauth.software_statements"}, each: badSoftwareIssuers},
	{keys: []string{"resources"}, each: func(c Config) []string { return badResources(c, c.Resources) }},
	{keys: []string{"mcp.resources"}, each: badMCPResources},
	{keys: []string{"mcp.open_registration", "mcp.resources"}, rule: badOpenRegistration},
	{keys: []string{"claims"}, each: badClaims},
	{keys: []string{"pages.service_name"}, rule: func(c Config) string { return badServiceName(c.Pages.ServiceName) }},
	{keys: []string{"pages.languages"}, each: badLanguages},
	{keys: []string{"accounts.email_verification"}, rule: func(c Config) string {
		return notOneOf(c.EmailVerification(), VerificationRequired, VerificationOptional, VerificationOff)
	}},
	{keys: []string{"accounts.notify_new_device", "mail.smtp"}, rule: func(c Config) string {
		if c.Accounts.NotifyNewDevice && !c.HasMail() {
			return "needs mail; set mail.smtp and mail.from, or leave it out"
		}
		return ""
	}},
	{keys: []string{"accounts.second_factor"}, rule: func(c Config) string {
		return notOneOf(c.Accounts.SecondFactor,
			SecondFactorOff, SecondFactorOptional, SecondFactorAdmins, SecondFactorRequired)
	}},
	{keys: []string{"mail.smtp"}, rule: func(c Config) string { return badSMTP(c.Mail.SMTP) }},
	{keys: []string{"mail.from"}, rule: func(c Config) string { return badMailbox(c.Mail.From) }},
	{keys: []string{"mail.reply_to"}, rule: func(c Config) string { return badMailbox(c.Mail.ReplyTo) }},
	{keys: []string{"outbound.allow_hosts"}, each: func(c Config) []string {
		return eachOf(c.Outbound.AllowHosts, badHost)
	}},
	{keys: []string{"passwords.min_length"}, rule: func(c Config) string {
		if n := c.Passwords.MinLength; n < 8 || n > 64 {
			return fmt.Sprintf("%d is not between 8 and 64; give a number between them: shorter passwords are guessed, and a longer minimum keeps people out", n)
		}
		return ""
	}},
	{keys: []string{"passwords.breach_check_url"}, rule: func(c Config) string {
		return badBreachCheck(c.Passwords.BreachCheckURL)
	}},
	{keys: []string{"passwords.argon2.time"}, rule: func(c Config) string {
		return notBetween(c.Passwords.Argon2.Time, 1, 16)
	}},
	{keys: []string{"passwords.argon2.threads"}, rule: func(c Config) string {
		return notBetween(c.Passwords.Argon2.Threads, 1, 16)
	}},
	{keys: []string{"passwords.argon2.memory", "passwords.argon2.time"}, rule: func(c Config) string {
		return weakArgon2(c.Passwords.Argon2)
	}},
	{keys: []string{"passwords.hash_slots"}, rule: func(c Config) string {
		return notBetween(c.Passwords.HashSlots, 0, 1024)
	}},
	{keys: []string{"throttle.signups_per_network"}, rule: func(c Config) string {
		return notBetween(c.Throttle.SignupsPerNetwork, 0, 100_000)
	}},
	{keys: []string{"throttle.failures_per_network"}, rule: func(c Config) string {
		return notBetween(c.Throttle.FailuresPerNetwork, 0, 100_000)
	}},
	{keys: []string{"throttle.failures_per_block"}, rule: func(c Config) string {
		return notBetween(c.Throttle.FailuresPerBlock, 0, 1_000_000)
	}},
	{keys: []string{"throttle.registrations_per_network"}, rule: func(c Config) string {
		return notBetween(c.Throttle.RegistrationsPerNetwork, 0, 100_000)
	}},
	{keys: []string{"throttle.registrations"}, rule: func(c Config) string {
		return notBetween(c.Throttle.Registrations, 0, 1_000_000)
	}},
	{keys: []string{"audit.retention"}, rule: func(c Config) string {
		if c.Audit.Retention == 0 {
			return ""
		}
		if reason := notWithin(c.Audit.Retention, 24*time.Hour, 175200*time.Hour); reason != "" {
			return reason + ", or 0 to keep every entry"
		}
		return ""
	}},
	{keys: []string{"http.cors_origins"}, each: badOrigins},
	{keys: []string{"http.trusted_proxies"}, each: badProxies},
	{keys: []string{"http.drain_notice"}, rule: func(c Config) string {
		return notWithin(c.HTTP.DrainNotice, 0, 10*time.Minute)
	}},

	{keys: []string{"metrics.listen", "listen"}, rule: func(c Config) string {
		if c.Metrics.Listen == c.Listen && !strings.HasSuffix(c.Listen, ":0") {
			return "is the address of the public listener; metrics need one of their own, such as 127.0.0.1:9090, or the empty text to turn them off"
		}
		return ""
	}},
	{keys: []string{"database_migrate_url", "database_url", "database_url_file", "database_migrate_url_file"},
		rule: func(c Config) string {
			if c.DatabaseMigrateURL != "" && !(isPostgres(c.DatabaseMigrateURL.Reveal()) && c.IsPostgres()) {
				return "is a second way to the same PostgreSQL database; it needs database_url to be postgres://… too"
			}
			return ""
		}},
	{keys: []string{"keys.encryption_key", "database_url", "database_url_file", "keys.encryption_key_file"},
		rule: func(c Config) string {
			if c.IsPostgres() && c.Keys.EncryptionKey == "" {
				return "is needed with PostgreSQL; make one with `signet keys new-kek`, keep it safe, and give it as SIGNET_KEYS_ENCRYPTION_KEY or name its file in SIGNET_KEYS_ENCRYPTION_KEY_FILE"
			}
			return ""
		}},
	{keys: []string{"keys.encryption_key_previous", "keys.encryption_key", "keys.encryption_key_file"},
		rule: func(c Config) string {
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
	{keys: []string{"mail.from", "mail.smtp"}, rule: func(c Config) string {
		if c.Mail.SMTP != "" && c.Mail.From == "" {
			return "is needed with mail.smtp; write the address that messages are from, such as no-reply@example.com"
		}
		return ""
	}},
	{keys: []string{"accounts.email_verification", "mail.smtp"}, rule: func(c Config) string {
		if c.EmailVerification() == VerificationRequired && !c.HasMail() {
			return "is required, and there is no mail to prove an address by; " +
				"give mail.smtp and mail.from, or write optional"
		}
		return ""
	}},
	{keys: []string{"passkeys.origins", "issuer"}, each: badPasskeyOrigins},
	{keys: []string{"passkeys.origins"}, each: func(c Config) []string { // where the issuer is faulty
		return eachOf(c.Passkeys.Origins, badPasskeyOrigin)
	}},
	{keys: []string{"mail.password", "mail.smtp", "mail.password_file"}, rule: badMailPassword},
	{keys: []string{"tokens.access_alg", "keys.algorithms"}, rule: func(c Config) string {
		return algorithmOff(c, c.Tokens.AccessAlg)
	}},
	{keys: []string{"refresh.idle", "refresh.absolute"}, rule: func(c Config) string {
		if c.Refresh.Idle > c.Refresh.Absolute {
			return fmt.Sprintf("%s is longer than refresh.absolute, %s; a login cannot be idle longer than it lives",
				showDuration(c.Refresh.Idle), showDuration(c.Refresh.Absolute))
		}
		return ""
	}},
	{keys: []string{"sessions.idle", "sessions.absolute"}, rule: func(c Config) string {
		if c.Sessions.Idle > c.Sessions.Absolute {
			return fmt.Sprintf("%s is longer than sessions.absolute, %s; a session cannot be idle longer than it lives",
				showDuration(c.Sessions.Idle), showDuration(c.Sessions.Absolute))
		}
		return ""
	}},
	{keys: []string{"refresh.reuse_window", "refresh.idle"}, rule: func(c Config) string {
		if c.Refresh.ReuseWindow >= c.Refresh.Idle {
			return fmt.Sprintf("%s is not shorter than refresh.idle, %s", showDuration(c.Refresh.ReuseWindow),
				showDuration(c.Refresh.Idle))
		}
		return ""
	}},
	{keys: []string{"throttle.failures_per_block", "throttle.failures_per_network"}, rule: func(c Config) string {
		if t := c.Throttle; c.Source("throttle.failures_per_block") != "" && t.FailuresPerBlock > 0 &&
			t.FailuresPerBlock < t.FailuresPerNetwork {
			return fmt.Sprintf("%d is less than throttle.failures_per_network, %d, which a single network of the block may send; raise it, or set it to 0", t.FailuresPerBlock, t.FailuresPerNetwork)
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

// check runs the table, but no rule for a key that is broken already. If a default can replace a
// faulty value, the rules that only need that value run with the default, so that one start reports
// all faults.
func (c Config) check(broken map[string]bool) []Fault {
	var faults []Fault
	bad := map[string]bool{}
	for key := range broken {
		bad[key] = true
	}
	for _, ch := range checks {
		if bad[ch.keys[0]] ||
			slices.ContainsFunc(ch.keys, func(key string) bool { return bad[key] && !defaultCanReplace(key) }) {
			continue
		}
		for _, reason := range ch.reasons(c) {
			bad[ch.keys[0]] = true
			faults = append(faults,
				Fault{Key: ch.keys[0], Where: c.Source(ch.keys[0]), Reason: reason + withDefaults(ch.keys, bad)})
		}
		if bad[ch.keys[0]] {
			c.replaceByDefault(ch.keys[0])
		}
	}
	if bad["keys.algorithms"] {
		c.Keys.Algorithms = Default().Keys.Algorithms // the timeline is the same for all algorithms
	}
	for _, fault := range c.timelineFaults() {
		if !bad[fault.Key] {
			fault.Reason += withDefaults(timelineKeys, bad)
			faults = append(faults, fault)
		}
	}
	return faults
}

// defaultCanReplace reports whether rules over several keys may use the default of key while its
// own value is faulty. That holds for quantities, but not for names.
func defaultCanReplace(key string) bool {
	switch fieldByKey[key].of(&Config{}).Interface().(type) {
	case time.Duration, int, Size:
		return true
	}
	return false
}

// replaceByDefault replaces a faulty value by its default, or by the zero value if no default can
// replace it.
func (c *Config) replaceByDefault(key string) {
	value, defaults := fieldByKey[key].of(c), Default()
	if defaultCanReplace(key) {
		value.Set(fieldByKey[key].of(&defaults))
		return
	}
	value.SetZero()
}

// withDefaults names the faulty keys whose defaults were used to find a fault.
func withDefaults(used []string, bad map[string]bool) string {
	var names []string
	for _, key := range used {
		if bad[key] && key != used[0] && defaultCanReplace(key) {
			names = append(names, key)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (found with the default of " + strings.Join(names, " and ") + ")"
}

// timelineKeys are the keys from which the timeline of signing keys is computed.
var timelineKeys = []string{"keys.algorithms", "keys.rotation", "keys.propagation", "keys.jwks_max_age", "clock_skew",
	"tokens.access_lifetime", "tokens.id_lifetime", "refresh.absolute", "resources", "mcp.resources"}

// timelineFaults returns the faults that package keys finds in the timeline. Each error text of
// that package begins with the key at fault.
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

// KeyPolicy returns the timeline of signing keys that is configured.
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
