package sqlstore

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signet-id/signet/userstore"
)

// maxValue bounds one parameter. It is far above what any rule allows and far below what could
// upset a driver (CVE-2024-27304: lengths beyond 4 GiB).
const maxValue = 1 << 20

// maxKey bounds an indexed value: a B-tree entry of PostgreSQL holds 2,704 bytes.
const maxKey = 1024

// micros and instant convert between a time and its stored form: microseconds since 1970 in UTC, 0
// for the zero time. Finer digits are cut off.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// list and unlist convert between a list of strings and its stored form. An empty list is read as
// nil.
func list(items []string) string {
	if len(items) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(items) // strings cannot fail
	return string(b)
}

// storedProof is a userstore.ProvedFactor as it is stored.
type storedProof struct {
	Method   string `json:"method"`
	At       int64  `json:"at"`
	Factors  int64  `json:"factors"`  // FactorVersion, replaced by ChangeFactors
	Password []byte `json:"password"` // PasswordMark, replaced by SetPassword
}

// factorsOfProof and passwordOfProof are the texts that stand in a stored proof for its factor version
// and for its mark of the password. No method contains them, because JSON puts a backslash before each
// quote within a string.
func factorsOfProof(version int64) string { return fmt.Sprintf(`"factors":%d,"password":`, version) }

func passwordOfProof(mark []byte) string {
	text, _ := json.Marshal(mark) // cannot fail
	return `,"password":` + string(text)
}

func encodeProved(proved []userstore.ProvedFactor) string {
	rows := make([]storedProof, 0, len(proved))
	for _, p := range proved {
		rows = append(rows, storedProof{p.Method, micros(p.At), p.FactorVersion, p.PasswordMark})
	}
	text, _ := json.Marshal(rows) // cannot fail
	return string(text)
}

func decodeProved(text string) (proved []userstore.ProvedFactor, err error) {
	if text == "[]" {
		return nil, nil
	}
	var rows []storedProof
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		return nil, fmt.Errorf("the stored proofs of a session are damaged: %w", err)
	}
	for _, r := range rows {
		proved = append(proved, userstore.ProvedFactor{
			Method: r.Method, At: instant(r.At), FactorVersion: r.Factors, PasswordMark: r.Password,
		})
	}
	return proved, nil
}

func unlist(text string) ([]string, error) {
	if text == "[]" {
		return nil, nil
	}
	// Most lists hold plain words, as list writes them; each refresh reads several lists.
	if inner, ok := strings.CutPrefix(text, `["`); ok && !strings.Contains(text, `\`) {
		if inner, ok = strings.CutSuffix(inner, `"]`); ok {
			items := strings.Split(inner, `","`)
			if strings.Count(text, `"`) == 2*len(items) {
				return items, nil
			}
		}
	}
	var items []string
	if err := json.Unmarshal([]byte(text), &items); err != nil {
		return nil, fmt.Errorf("a stored list is damaged: %w", err)
	}
	return items, nil
}

// storable refuses strings that PostgreSQL's text type cannot hold, on both engines alike, and
// values longer than maxValue.
func storable(args []any) error {
	for _, arg := range args {
		switch v := arg.(type) {
		case string:
			if err := text(v); err != nil {
				return err
			}
		case []byte:
			if len(v) > maxValue {
				return fmt.Errorf("%w: %d bytes", userstore.ErrInvalid, len(v))
			}
		}
	}
	return nil
}

// storables is storable for several statements that run together.
func storables(s []stmt) error {
	for i := range s {
		if err := storable(s[i].args); err != nil {
			return err
		}
	}
	return nil
}

func text(s string) error {
	switch {
	case len(s) > maxValue:
		return fmt.Errorf("%w: %d bytes", userstore.ErrInvalid, len(s))
	case strings.IndexByte(s, 0) >= 0:
		return fmt.Errorf("%w: it contains U+0000", userstore.ErrInvalid)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: it is not UTF-8", userstore.ErrInvalid)
	}
	return nil
}

// texts checks strings before they are encoded as JSON, which would silently replace or escape what
// text refuses.
func texts(items ...string) error {
	for _, s := range items {
		if err := text(s); err != nil {
			return err
		}
	}
	return nil
}

// indexable refuses strings that are too long for an index.
func indexable(items ...string) error {
	for _, s := range items {
		if len(s) > maxKey {
			return fmt.Errorf("%w: a key of %d bytes", userstore.ErrInvalid, len(s))
		}
	}
	return nil
}

// encodeClaims writes claims as JSON and keeps each value byte for byte.
func encodeClaims(c userstore.Claims) (string, error) {
	if err := textFields(reflect.ValueOf(c)); err != nil {
		return "", err
	}
	b, err := json.Marshal(c)
	return string(b), err
}

func decodeClaims(text string) (c userstore.Claims, err error) {
	if text == "{}" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return c, fmt.Errorf("stored claims are damaged: %w", err)
	}
	return c, nil
}

func textFields(v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		return text(v.String())
	case reflect.Pointer:
		if !v.IsNil() {
			return textFields(v.Elem())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 { // JSON that the caller encoded
			return text(string(v.Bytes()))
		}
		for i := range v.Len() {
			if err := textFields(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if err := textFields(v.Field(i)); err != nil {
				return err
			}
		}
	}
	return nil
}
