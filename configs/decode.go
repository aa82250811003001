package configs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
)

// decodeInto sets target from value, which is a text (environment, flags) or a value that YAML
// decoded. It refuses every value that could be misread. Errors name neither the key nor a secret.
func decodeInto(target reflect.Value, value any) error {
	switch t := target.Addr().Interface().(type) {
	case *Secret:
		text, ok := value.(string)
		if !ok {
			return fmt.Errorf("is %s, not a text; put it in quotes", kindOf(value))
		}
		*t = Secret(text)
	case *string:
		text, ok := value.(string)
		if !ok {
			return fmt.Errorf("is %s, not a text; put it in quotes", kindOf(value))
		}
		*t = text
	case *bool:
		return decodeBool(t, value)
	case *int:
		return decodeInt(t, value)
	case *time.Duration:
		return decodeDuration(t, value)
	case *Size:
		text, ok := value.(string)
		if !ok {
			return fmt.Errorf("is %s, not a size; write a whole number with its unit, such as 19MiB", kindOf(value))
		}
		size, err := parseSize(text)
		*t = size
		return err
	case *[]string:
		list, err := decodeList(value)
		*t = list
		return err
	case *[]Resource:
		list, err := decodeSections[Resource](value, "a resource", "uri")
		*t = list
		return err
	case *[]Claim:
		list, err := decodeSections[Claim](value, "a claim", "name")
		*t = list
		return err
	case *[]SoftwareIssuer:
		list, err := decodeSections[SoftwareIssuer](value, "an issuer of software statements", "issuer")
		*t = list
		return err
	case *any:
		return decodeAny(t, value)
	default:
		return fmt.Errorf("has a type that cannot be loaded: %T", t)
	}
	return nil
}

func decodeBool(t *bool, value any) error {
	switch v := value.(type) {
	case bool:
		*t = v
		return nil
	case string:
		switch v {
		case "true":
			*t = true
			return nil
		case "false":
			*t = false
			return nil
		}
		return fmt.Errorf("%q is neither true nor false", v)
	}
	return fmt.Errorf("is %s, neither true nor false", kindOf(value))
}

func decodeInt(t *int, value any) error {
	switch v := value.(type) {
	case int:
		*t = v
		return nil
	case string:
		if leadingZero.MatchString(v) {
			return errors.New(ambiguousNumber)
		}
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", v)
		}
		*t = int(n)
		return nil
	}
	return fmt.Errorf("is %s, not a whole number", kindOf(value))
}

func decodeDuration(t *time.Duration, value any) error {
	switch v := value.(type) {
	case int:
		if v == 0 { // the same in every unit
			*t = 0
			return nil
		}
		return fmt.Errorf("%d has no unit; write a duration such as %ds or 1h30m", v, v)
	case string:
		d, err := time.ParseDuration(v)
		switch {
		case err == nil:
			*t = d
			return nil
		case strings.HasSuffix(v, "d"):
			if days, err := strconv.Atoi(strings.TrimSuffix(v, "d")); err == nil {
				return fmt.Errorf("%q is not a duration; write hours, here %dh", v, 24*days)
			}
		}
		if _, err := strconv.Atoi(v); err == nil {
			return fmt.Errorf("%q has no unit; write a duration such as %ss or 1h30m", v, v)
		}
		return fmt.Errorf("%q is not a duration; write one such as 300s, 10m or 1h30m", v)
	}
	return fmt.Errorf("is %s, not a duration such as 300s, 10m or 1h30m", kindOf(value))
}

// decodeList decodes a list of texts, or one text with commas.
func decodeList(value any) ([]string, error) {
	switch v := value.(type) {
	case string:
		var list []string
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		return list, nil
	case []any:
		list := make([]string, 0, len(v))
		var faults []string
		for i, member := range v {
			text, ok := member.(string)
			if !ok {
				faults = append(faults, fmt.Sprintf("member %d is %s, not a text; put it in quotes", i+1, kindOf(member)))
			}
			list = append(list, text)
		}
		if len(faults) > 0 {
			return nil, errors.New(strings.Join(faults, "; "))
		}
		return list, nil
	}
	return nil, fmt.Errorf("is %s, not a list of texts", kindOf(value))
}

// decodeSections decodes a list of sections, or such a list as JSON. For error texts, what names
// one section, and requiredKey a key that every section has.
func decodeSections[T any](value any, what, requiredKey string) ([]T, error) {
	if text, ok := value.(string); ok {
		parsed, err := parseJSON(text)
		if err != nil {
			return nil, err
		}
		value = parsed
	}
	members, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("is %s, not a list of sections with %s", kindOf(value), requiredKey)
	}
	var list []T
	var faults []string
	for i, member := range members {
		var one T
		section, ok := member.(map[string]any)
		if !ok {
			faults = append(faults, fmt.Sprintf("member %d: is %s, not a section with %s", i+1, kindOf(member), requiredKey))
			continue
		}
		for _, p := range decodeSection(reflect.ValueOf(&one).Elem(), section, what) {
			faults = append(faults, fmt.Sprintf("member %d: %s", i+1, p))
		}
		list = append(list, one)
	}
	if len(faults) > 0 {
		return nil, errors.New(strings.Join(faults, "; "))
	}
	return list, nil
}

func decodeSection(target reflect.Value, section map[string]any, what string) (problems []string) {
	members := map[string]reflect.Value{}
	var keys []string
	for i := range target.NumField() {
		key := target.Type().Field(i).Tag.Get("key")
		members[key] = target.Field(i)
		keys = append(keys, key)
	}
	names := make([]string, 0, len(section))
	for name := range section {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		member, known := members[name]
		if !known {
			last := len(keys) - 1
			problems = append(problems, fmt.Sprintf("%s is not a key of %s; it has %s and %s", name, what, strings.Join(keys[:last], ", "), keys[last]))
			continue
		}
		if err := decodeInto(member, section[name]); err != nil {
			problems = append(problems, name+" "+err.Error())
		}
	}
	return problems
}

// decodeAny decodes any JSON value except null: a key without a value must be left out.
func decodeAny(t *any, value any) error {
	if value == nil {
		return errors.New("is empty; give a value or remove it")
	}
	if err := onlyJSON(value); err != nil {
		return err
	}
	*t = value
	return nil
}

// onlyJSON refuses values that YAML has and JSON does not have.
func onlyJSON(value any) error {
	switch v := value.(type) {
	case nil, bool, int, string:
		return nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("has a number that tokens cannot hold")
		}
		return nil
	case []any:
		for _, member := range v {
			if err := onlyJSON(member); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for _, member := range v {
			if err := onlyJSON(member); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("has %s, which tokens cannot hold; put it in quotes", kindOf(value))
}

// parseJSON decodes one value. It refuses two members with the same name, of which encoding/json
// would silently take the last.
func parseJSON(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := jsonValue(d)
	if err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has something after the JSON value; keep one value")
	}
	return v, nil
}

func jsonValue(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it ends too early")
	}
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := jsonValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Delim('{'):
		section := map[string]any{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			if _, twice := section[name.(string)]; twice {
				return nil, fmt.Errorf("%s is given twice", name)
			}
			if section[name.(string)], err = jsonValue(d); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return section, err
	}
	if n, ok := token.(json.Number); ok {
		if i, err := strconv.Atoi(n.String()); err == nil {
			return i, nil
		}
		f, err := n.Float64()
		return f, err
	}
	return token, nil
}

// kindOf names the type of a decoded value for people, without showing the value.
func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "empty"
	case bool:
		return "true or false"
	case int, int64, uint64, float64:
		return "a number"
	case string:
		return "a text"
	case []any:
		return "a list"
	case map[string]any, map[any]any:
		return "a section"
	case time.Time:
		return "a date"
	}
	return fmt.Sprintf("a %T", value)
}
