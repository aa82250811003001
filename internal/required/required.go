// Package required finds missing fields of a struct of parts, so that a forgotten part fails the
// start of a server instead of meaning "no limit" or "no check".
package required

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Missing names the exported fields of the struct v that are nil, "" or an empty list and not among
// optional. It looks at fields that can be nil and at strings; numbers have zero values that are
// safe.
func Missing(v any, optional ...string) error {
	s := reflect.Indirect(reflect.ValueOf(v))
	var names []string
	for i := range s.NumField() {
		field := s.Type().Field(i)
		if !field.IsExported() || slices.Contains(optional, field.Name) {
			continue
		}
		switch field.Type.Kind() {
		case reflect.Pointer, reflect.Func, reflect.Interface, reflect.Map, reflect.Slice, reflect.String, reflect.Chan:
			if s.Field(i).IsZero() {
				names = append(names, field.Name)
			}
		}
	}
	if names == nil {
		return nil
	}
	return fmt.Errorf("%s is made without %s", s.Type(), strings.Join(names, ", "))
}
