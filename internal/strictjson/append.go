package strictjson

import "encoding/json"

// AppendString appends s as a JSON string to b, as encoding/json writes it: with <, > and &
// escaped, and U+FFFD for each byte that is not UTF-8.
func AppendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; !plain[c] || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(s) // a string cannot fail
			return append(b, text...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
