package strictjson

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// scanner reads one document by recursive descent; MaxDepth bounds the recursion. Its methods
// return false once the rest cannot be read.
type scanner struct {
	data          []byte
	pos           int
	ignoreUnknown bool
	nullMembers   bool                     // members of the outermost object may be null
	visit         func(name, value []byte) // of the outermost object; nil: none
	names         [][]byte                 // member names of the open objects, innermost last
	path          []step
	problems      []Problem

	room struct { // for the names and the path of ordinary documents
		names [24][]byte
		path  [4]step
	}
}

// scanners are kept: the room of one is as large as all else that a small document needs.
var scanners = sync.Pool{New: func() any { return new(scanner) }}

func newScanner(data []byte) *scanner {
	s := scanners.Get().(*scanner)
	s.data = data
	return s
}

// release gives s back, without the document.
func (s *scanner) release() {
	*s = scanner{}
	scanners.Put(s)
}

// step is one part of a problem's dotted path.
type step struct {
	name  []byte
	index int // when name is nil
}

func (s *scanner) document(target reflect.Type) error {
	s.names, s.path = s.room.names[:0], s.room.path[:0]
	if s.whole(target) && len(s.problems) == 0 {
		return nil
	}
	return &Error{Problems: s.problems}
}

func (s *scanner) whole(target reflect.Type) bool {
	if strings.HasPrefix(string(s.data[:min(3, len(s.data))]), "\ufeff") {
		return s.fail(Malformed, "The document must not begin with a byte order mark.")
	}
	s.space()
	if s.pos == len(s.data) {
		return s.fail(Malformed, "The document is empty.")
	}
	if s.visit != nil && s.data[s.pos] != '{' {
		return s.fail(WrongType, "The document must be a JSON object.")
	}
	if !s.value(target, 1) {
		return false
	}
	s.space()
	if s.pos < len(s.data) {
		return s.fail(TrailingData, "There is more data after the end of the document.")
	}
	return true
}

// value reads one value at depth (1 for the document) and checks it against target; nil allows any
// value.
func (s *scanner) value(target reflect.Type, depth int) bool {
	if s.pos == len(s.data) {
		return s.fail(Malformed, "The document ends too early.")
	}
	start, sh := s.pos, (*shape)(nil)
	if target != nil {
		sh = shapeOf(target)
	}
	var got kind
	switch c := s.data[s.pos]; {
	case c == '{':
		got = object
		if depth > MaxDepth {
			return s.tooDeep()
		}
		if !s.object(sh, depth) {
			return false
		}
	case c == '[':
		got = array
		if depth > MaxDepth {
			return s.tooDeep()
		}
		if !s.array(sh, depth) {
			return false
		}
	case c == '"':
		got = text
		if _, _, ok := s.text(); !ok {
			return false
		}
	case c == '-' || '0' <= c && c <= '9':
		got = number
		if !s.number() {
			return false
		}
	case c == 't':
		got = boolean
		if !s.literal("true") {
			return false
		}
	case c == 'f':
		got = boolean
		if !s.literal("false") {
			return false
		}
	case c == 'n':
		got = null
		if !s.literal("null") {
			return false
		}
	default:
		return s.unexpected()
	}
	if sh != nil && !(got == null && s.nullMembers && depth == 2) {
		if complaint := sh.mismatch(got, s.data[start:s.pos]); complaint != "" {
			s.report(WrongType, complaint)
		}
	}
	return true
}

func (s *scanner) object(sh *shape, depth int) bool {
	s.pos++ // {
	base := len(s.names)
	defer func() { s.names = s.names[:base] }()
	var index map[string]struct{} // replaces the linear search in a large object
	s.space()
	if s.eat('}') {
		return true
	}
	for {
		if s.pos == len(s.data) || s.data[s.pos] != '"' {
			return s.unexpected()
		}
		raw, escaped, ok := s.text()
		if !ok {
			return false
		}
		name := raw[1 : len(raw)-1]
		if escaped {
			name = unquote(raw)
		}
		s.path = append(s.path, step{name: name})
		var repeated bool
		if repeated, index = s.repeated(base, name, index); repeated {
			s.report(Duplicate, "This member occurs more than once.")
		}
		member := s.member(sh, name)
		s.space()
		if !s.eat(':') {
			return s.unexpected()
		}
		s.space()
		start := s.pos
		if !s.value(member, depth+1) {
			return false
		}
		if s.visit != nil && depth == 1 {
			s.visit(name, s.data[start:s.pos])
		}
		s.path = s.path[:len(s.path)-1]
		s.space()
		if s.eat('}') {
			return true
		}
		if !s.eat(',') {
			return s.unexpected()
		}
		s.space()
	}
}

// repeated adds name to the names of the object that began at base, and reports whether it was
// there before.
func (s *scanner) repeated(base int, name []byte, index map[string]struct{}) (bool, map[string]struct{}) {
	if index == nil {
		for _, other := range s.names[base:] {
			if string(other) == string(name) {
				return true, nil
			}
		}
		s.names = append(s.names, name)
		if len(s.names)-base == 32 {
			index = make(map[string]struct{}, 128)
			for _, n := range s.names[base:] {
				index[string(n)] = struct{}{}
			}
		}
		return false, index
	}
	if _, ok := index[string(name)]; ok {
		return true, index
	}
	index[string(name)] = struct{}{}
	return false, index
}

// member returns the target of a member, and reports a member that the target does not know.
func (s *scanner) member(sh *shape, name []byte) reflect.Type {
	if sh == nil || sh.kind != object {
		return nil
	}
	if sh.fields == nil {
		return sh.elem // of a map
	}
	if t, ok := sh.fields[string(name)]; ok {
		return t
	}
	for known := range sh.fields {
		if strings.EqualFold(known, string(name)) {
			s.report(WrongCase, fmt.Sprintf("This member must be written %q.", known))
			return nil
		}
	}
	if !s.ignoreUnknown {
		s.report(UnknownField, "This member is not known here.")
	}
	return nil
}

func (s *scanner) array(sh *shape, depth int) bool {
	var elem reflect.Type
	if sh != nil && sh.kind == array {
		elem = sh.elem
	}
	s.pos++ // [
	s.space()
	if s.eat(']') {
		return s.length(sh, 0)
	}
	for i := 0; ; i++ {
		s.path = append(s.path, step{index: i})
		if !s.value(elem, depth+1) {
			return false
		}
		s.path = s.path[:len(s.path)-1]
		s.space()
		if s.eat(']') {
			return s.length(sh, i+1)
		}
		if !s.eat(',') {
			return s.unexpected()
		}
		s.space()
	}
}

// length checks the size of a fixed array: encoding/json would drop the rest.
func (s *scanner) length(sh *shape, n int) bool {
	if sh != nil && sh.kind == array && sh.length >= 0 && sh.length != n {
		s.report(WrongType, fmt.Sprintf("This list must have %d elements.", sh.length))
	}
	return true
}

// plain marks the bytes of a string that need no further check.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// text reads a string and returns it with its quotes.
func (s *scanner) text() (raw []byte, escaped, ok bool) {
	start := s.pos
	data := s.data
	i := start + 1
	for i < len(data) {
		c := data[i]
		if plain[c] {
			i++
			continue
		}
		switch {
		case c == '"':
			s.pos = i + 1
			return data[start:s.pos], escaped, true
		case c == '\\':
			escaped = true
			n := escape(data[i:])
			if n == 0 {
				s.pos = i
				return nil, false, s.fail(Malformed, "A string holds an escape that JSON does not know, or half of a surrogate pair.")
			}
			i += n
		case c < 0x20:
			s.pos = i
			return nil, false, s.fail(Malformed, "A string holds a control character; write it as an escape.")
		default:
			r, n := utf8.DecodeRune(data[i:])
			if r == utf8.RuneError && n == 1 {
				s.pos = i
				return nil, false, s.fail(Malformed, "A string is not valid UTF-8.")
			}
			i += n
		}
	}
	s.pos = len(data)
	return nil, false, s.fail(Malformed, "The document ends inside a string.")
}

// escape returns the length of the escape at the start of b, a surrogate pair counting as one; 0 if
// there is none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		r, ok := hex4(b[2:])
		switch {
		case !ok || 0xdc00 <= r && r < 0xe000:
			return 0
		case 0xd800 <= r && r < 0xdc00:
			// encoding/json would turn a lone half into U+FFFD, and so two different names into
			// one.
			if len(b) < 12 || b[6] != '\\' || b[7] != 'u' {
				return 0
			}
			if low, ok := hex4(b[8:]); !ok || low < 0xdc00 || low >= 0xe000 {
				return 0
			}
			return 12
		}
		return 6
	}
	return 0
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unquote decodes a string that text has accepted.
func unquote(raw []byte) []byte {
	body := raw[1 : len(raw)-1]
	for _, c := range body {
		if c == '\\' {
			var decoded string
			if json.Unmarshal(raw, &decoded) != nil {
				return body // cannot be: the scanner accepted it
			}
			return []byte(decoded)
		}
	}
	return body
}

// number reads by the grammar of RFC 8259 section 6; so NaN, +1, 01, .5 and 1. are no numbers.
func (s *scanner) number() bool {
	s.eat('-')
	if !s.eat('0') && !s.digits() {
		return s.unexpected()
	}
	if s.eat('.') && !s.digits() {
		return s.unexpected()
	}
	if s.eat('e') || s.eat('E') {
		if !s.eat('+') {
			s.eat('-')
		}
		if !s.digits() {
			return s.unexpected()
		}
	}
	return true
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

func (s *scanner) literal(word string) bool {
	if len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		return s.unexpected()
	}
	s.pos += len(word)
	return true
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) eat(c byte) bool {
	if s.pos < len(s.data) && s.data[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) tooDeep() bool {
	return s.fail(TooDeep, fmt.Sprintf("The document is nested deeper than %d levels.", MaxDepth))
}

func (s *scanner) unexpected() bool {
	if s.pos >= len(s.data) {
		return s.fail(Malformed, "The document ends too early.")
	}
	return s.fail(Malformed, fmt.Sprintf("The document is not JSON: byte %d cannot stand where it is.", s.pos+1))
}

// fail reports a problem after which nothing can be read. Earlier problems never crowd it out.
func (s *scanner) fail(code, message string) bool {
	s.problems = append(s.problems, Problem{Field: s.field(), Code: code, Message: message})
	return false
}

func (s *scanner) report(code, message string) {
	if len(s.problems) < maxProblems {
		s.problems = append(s.problems, Problem{Field: s.field(), Code: code, Message: message})
	}
}

// field formats the path. The names come from strangers, so they are cut to a readable length.
func (s *scanner) field() string {
	const longest = 64
	var b strings.Builder
	for i, step := range s.path {
		if i > 0 {
			b.WriteByte('.')
		}
		switch {
		case step.name == nil:
			b.WriteString(strconv.Itoa(step.index))
		case len(step.name) > longest:
			b.WriteString(strings.ToValidUTF8(string(step.name[:longest]), ""))
			b.WriteString("…")
		default:
			b.Write(step.name)
		}
	}
	return b.String()
}
