package configs

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// EnvPrefix begins the name of every environment variable of Signet's.
const EnvPrefix = "SIGNET_"

// field is one key and its position in Config.
type field struct {
	key   string // keys.rotation
	index []int  // for reflect.Value.FieldByIndex
}

// env returns the name of the key's environment variable, such as SIGNET_KEYS_ROTATION.
func (f field) env() string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(f.key, ".", "_"))
}

func (f field) of(c *Config) reflect.Value { return reflect.ValueOf(c).Elem().FieldByIndex(f.index) }

func (f field) isSecret() bool { return f.of(&Config{}).Type() == reflect.TypeFor[Secret]() }

// fields lists every key, in the order of Config.
var fields = listFields(reflect.TypeFor[Config](), "", nil)

var fieldByKey = func() map[string]field {
	m := map[string]field{}
	for _, f := range fields {
		m[f.key] = f
	}
	return m
}()

func listFields(t reflect.Type, prefix string, index []int) []field {
	var list []field
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("key")
		if name == "" {
			continue
		}
		at := append(append([]int(nil), index...), i)
		if t.Field(i).Type.Kind() == reflect.Struct {
			list = append(list, listFields(t.Field(i).Type, prefix+name+".", at)...)
			continue
		}
		list = append(list, field{key: prefix + name, index: at})
	}
	return list
}

// Setting is one key of an effective configuration, without secrets, so it can be shown.
type Setting struct {
	Key    string `json:"key"`
	Value  any    `json:"value"` // durations and sizes as in the file; no secret
	Text   string `json:"-"`     // the value for people
	Source string `json:"source"`
}

// Settings lists the effective configuration with secrets redacted. Source is where a value was
// set, "default", or the key from which an unset value is derived.
func (c Config) Settings() []Setting {
	var list []Setting
	for _, f := range fields {
		value, source := f.of(&c).Interface(), c.Source(f.key)
		if derived, from := c.derived(f.key); from != "" {
			value = derived
			if source == "" {
				source = "derived from " + from
			}
		}
		if source == "" {
			source = "default"
		}
		list = append(list, Setting{Key: f.key, Value: c.plain(f.key, value), Text: show(f.key, value), Source: source})
	}
	return list
}

// derived returns the effective value of a key that is unset and takes its value from another one,
// and the name of that other one. from is empty for all other keys.
func (c Config) derived(key string) (value any, from string) {
	switch {
	case key == "issuer" && c.Issuer == "":
		return c.IssuerURL(""), "listen"
	case key == "database_url" && c.DatabaseURL == "":
		return Secret(c.Database()), "data_dir"
	case key == "database_migrate_url" && c.DatabaseMigrateURL == "" && c.IsPostgres():
		return c.DatabaseURL, "database_url"
	case key == "tokens.audience" && len(c.Tokens.Audience) == 0:
		return []string{c.IssuerURL("")}, "issuer"
	case key == "throttle.failures_per_block" && c.FailuresPerBlock() != c.Throttle.FailuresPerBlock:
		return c.FailuresPerBlock(), "throttle.failures_per_network"
	case key == "passwords.hash_slots" && c.Passwords.HashSlots == 0:
		return c.Passwords.Slots(), "GOMAXPROCS"
	}
	return nil, ""
}

// plain returns a value as it is shown in JSON.
func (c Config) plain(key string, value any) any {
	switch v := value.(type) {
	case bool, int:
		return v
	case []string:
		return append([]string{}, v...)
	case []Resource:
		type resource struct {
			URI           string   `json:"uri"`
			Scopes        []string `json:"scopes"`
			Alg           string   `json:"access_token_alg"`
			Lifetime      string   `json:"access_token_lifetime"`
			Introspection []string `json:"introspection_clients"`
		}
		list := []resource{}
		for _, r := range v {
			lifetime := r.AccessLifetime
			if lifetime == 0 {
				lifetime = c.Tokens.AccessLifetime
			}
			list = append(list, resource{r.URI, append([]string{}, r.Scopes...), cmp.Or(r.AccessAlg, c.Tokens.AccessAlg), showDuration(lifetime), append([]string{}, r.Introspection...)})
		}
		return list
	case []Claim:
		type claim struct {
			Name  string   `json:"name"`
			From  string   `json:"from,omitempty"`
			Value any      `json:"value,omitempty"`
			In    []string `json:"in"`
			Scope string   `json:"scope,omitempty"`
		}
		list := []claim{}
		for _, c := range v {
			list = append(list, claim(c))
		}
		return list
	case []SoftwareIssuer:
		type softwareIssuer struct {
			Issuer      string   `json:"issuer"`
			JWKSFile    string   `json:"jwks_file,omitempty"`
			JWKSURI     string   `json:"jwks_uri,omitempty"`
			SoftwareIDs []string `json:"software_ids,omitempty"`
		}
		list := []softwareIssuer{}
		for _, s := range v {
			list = append(list, softwareIssuer(s))
		}
		return list
	}
	return show(key, value)
}

// show returns a value as it can be written in the file, with secrets redacted.
func show(key string, value any) string {
	switch v := value.(type) {
	case Secret:
		if strings.HasPrefix(key, "database_") {
			return redactURL(v.Reveal())
		}
		return v.String()
	case time.Duration:
		return showDuration(v)
	case []string:
		return "[" + strings.Join(v, ", ") + "]"
	case []Resource:
		shown := make([]string, len(v))
		for i, r := range v {
			shown[i] = r.URI
		}
		return "[" + strings.Join(shown, ", ") + "]"
	case []Claim:
		shown := make([]string, len(v))
		for i, c := range v {
			shown[i] = c.Name
		}
		return "[" + strings.Join(shown, ", ") + "]"
	case []SoftwareIssuer:
		shown := make([]string, len(v))
		for i, s := range v {
			shown[i] = s.Issuer
		}
		return "[" + strings.Join(shown, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

// showDuration returns d without needless zeros: 1h, not 1h0m0s.
func showDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
