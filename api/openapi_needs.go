package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// What a path of openapi.json needs (x-needs) to be there.
const (
	needsMail           = "mail"             // messages are sent
	needsPasskeys       = "passkeys"         // the issuer's host is no IP address
	needsPasskeyOrigins = "passkeys.origins" // it is configured
)

// without is the description without the paths that need one of needs. The order stays.
func without(text []byte, needs ...string) ([]byte, error) {
	if len(needs) == 0 {
		return text, nil
	}
	doc, err := readMembers(text)
	if err != nil {
		return nil, fmt.Errorf("read openapi.json: %w", err)
	}
	for i, m := range doc {
		if m.name != "paths" {
			continue
		}
		paths, err := readMembers(m.value)
		if err != nil {
			return nil, fmt.Errorf("read the paths of openapi.json: %w", err)
		}
		doc[i].value = writeMembers(slices.DeleteFunc(paths, func(path member) bool {
			return slices.ContainsFunc(needs, func(need string) bool {
				return bytes.Contains(path.value, []byte(`"x-needs": "`+need+`"`))
			})
		}))
	}
	var out bytes.Buffer
	err = json.Indent(&out, writeMembers(doc), "", "  ")
	return out.Bytes(), err
}

// member is one member of a JSON object, whose order a Go map would lose.
type member struct {
	name  string
	value json.RawMessage
}

func readMembers(object []byte) (list []member, err error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: fmt.Sprint(name)}
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

func writeMembers(list []member) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", m.name, m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}
