package configs

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// EnvPrefix starts the name of every variable that is ours.
const EnvPrefix = "SIGNET_"

// field is one key and its place in Config.
type field struct {
	key   string // keys.rotation
	index []int  // for reflect.Value.FieldByIndex
}

// env is the name of the key's variable: SIGNET_KEYS_ROTATION.
func (f field) env() string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(f.key, ".", "_"))
}

func (f field) of(c *Config) reflect.Value { return reflect.ValueOf(c).Elem().FieldByIndex(f.index) }

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

// Setting is one key of an effective configuration, fit to be shown.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"` // "default" when it was given nowhere
}

// Settings lists the effective configuration with secrets redacted.
func (c Config) Settings() []Setting {
	var list []Setting
	for _, f := range fields {
		source := c.Source(f.key)
		if source == "" {
			source = "default"
		}
		list = append(list, Setting{Key: f.key, Value: show(f.key, f.of(&c).Interface()), Source: source})
	}
	return list
}

// show writes a value as it may be written in the file.
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
	default:
		return fmt.Sprint(v)
	}
}

// showDuration is Duration.String without the zeros that nobody would write: 1h, not 1h0m0s.
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
