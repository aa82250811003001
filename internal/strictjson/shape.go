package strictjson

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

type kind uint8

const (
	anything kind = iota
	object
	array
	text
	number
	boolean
	null
)

// shape describes what a Go type accepts, prepared once per type.
type shape struct {
	kind     kind
	nullable bool
	custom   bool // decodes itself: call it on the value, so that a refusal gets the field's name
	typ      reflect.Type
	elem     reflect.Type            // of a list or map; nil: anything
	length   int                     // of a fixed array; -1: any
	fields   map[string]reflect.Type // of a struct; nil for every other shape
}

var (
	shapes sync.Map // reflect.Type → *shape; as many as the program has target types

	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	numberType      = reflect.TypeFor[json.Number]()
	rawType         = reflect.TypeFor[json.RawMessage]()
)

func shapeOf(t reflect.Type) *shape {
	if known, ok := shapes.Load(t); ok {
		return known.(*shape)
	}
	known, _ := shapes.LoadOrStore(t, newShape(t))
	return known.(*shape)
}

func newShape(t reflect.Type) *shape {
	sh := &shape{typ: t, length: -1}
	for t.Kind() == reflect.Pointer {
		sh.nullable = true
		t = t.Elem()
	}
	pointer := reflect.PointerTo(t)
	switch {
	case t == rawType || t == numberType:
		// The caller reads RawMessage; Number is left to encoding/json.
		sh.kind, sh.nullable, sh.custom = anything, t == rawType || sh.nullable, t == numberType
		return sh
	case pointer.Implements(jsonUnmarshaler):
		sh.kind, sh.nullable, sh.custom = anything, true, true
		return sh
	case pointer.Implements(textUnmarshaler):
		sh.kind, sh.custom = text, true
		return sh
	}
	switch t.Kind() {
	case reflect.Struct:
		sh.kind, sh.fields = object, fieldsOf(t)
	case reflect.Map:
		sh.kind, sh.elem, sh.nullable = object, t.Elem(), true
	case reflect.Slice:
		sh.kind, sh.elem, sh.nullable = array, t.Elem(), true
		if t.Elem().Kind() == reflect.Uint8 {
			sh.kind, sh.elem, sh.custom = text, nil, true // base64
		}
	case reflect.Array:
		sh.kind, sh.elem, sh.length = array, t.Elem(), t.Len()
	case reflect.String:
		sh.kind = text
	case reflect.Bool:
		sh.kind = boolean
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr,
		reflect.Float32, reflect.Float64:
		sh.kind = number
	default:
		sh.kind, sh.nullable = anything, true
	}
	return sh
}

// mismatch returns what is wrong with a value of kind got; empty: nothing.
func (sh *shape) mismatch(got kind, value []byte) string {
	if got == null {
		if sh.nullable || sh.kind == anything && !sh.custom {
			return ""
		}
		return sh.wanted()
	}
	if sh.kind != anything && sh.kind != got {
		return sh.wanted()
	}
	if sh.custom {
		if json.Unmarshal(value, reflect.New(sh.typ).Interface()) != nil {
			return "This value does not have the form that is expected here."
		}
		return ""
	}
	if sh.kind == number && !sh.fits(string(value)) {
		return sh.wanted()
	}
	return ""
}

func (sh *shape) wanted() string {
	switch sh.kind {
	case object:
		return "This must be an object."
	case array:
		return "This must be a list."
	case text:
		return "This must be a string."
	case boolean:
		return "This must be true or false."
	case number:
		if f := sh.base().Kind(); f == reflect.Float32 || f == reflect.Float64 {
			return "This must be a number."
		}
		return fmt.Sprintf("This must be a whole number of at most %d bits, without a fraction or exponent.", sh.base().Bits())
	}
	return "This value does not have the form that is expected here."
}

func (sh *shape) base() reflect.Type {
	t := sh.typ
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// fits reports whether the number fits the Go type, as encoding/json decides it.
func (sh *shape) fits(n string) bool {
	t := sh.base()
	var err error
	switch t.Kind() {
	case reflect.Float32, reflect.Float64:
		var f float64
		f, err = strconv.ParseFloat(n, t.Bits())
		if math.IsInf(f, 0) {
			return false
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		_, err = strconv.ParseInt(n, 10, t.Bits())
	default:
		_, err = strconv.ParseUint(n, 10, t.Bits())
	}
	return err == nil
}

// fieldsOf returns a struct's members by the rules of encoding/json: an embedded struct lends its
// fields, and the shallower of two equal names wins.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	level, visited := []reflect.Type{t}, map[reflect.Type]bool{}
	for len(level) > 0 {
		var next []reflect.Type
		found := map[string]reflect.Type{}
		for _, t := range level {
			if visited[t] {
				continue
			}
			visited[t] = true
			for f := range t.Fields() {
				name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
				if f.Tag.Get("json") == "-" {
					continue
				}
				if embedded := f.Type; f.Anonymous && name == "" {
					if embedded.Kind() == reflect.Pointer {
						embedded = embedded.Elem()
					}
					if embedded.Kind() == reflect.Struct {
						next = append(next, embedded)
						continue
					}
				}
				if !f.IsExported() {
					continue
				}
				if name == "" {
					name = f.Name
				}
				if _, twice := found[name]; twice {
					panic(fmt.Sprintf("strictjson: %v has two members named %q", t, name))
				}
				found[name] = f.Type
				if options == "string" || strings.Contains(options, ",string") {
					found[name] = nil // encoding/json alone reads numbers inside strings
				}
			}
		}
		for name, typ := range found {
			if _, shadowed := fields[name]; !shadowed {
				fields[name] = typ
			}
		}
		level = next
	}
	return fields
}
