package api

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// needsMail marks a path of openapi.json that is there only where messages are sent.
const needsMail = `"x-needs": "mail"`

// withoutMail is the description without the paths that need mail.
func withoutMail(text []byte) ([]byte, error) {
	var doc, paths map[string]json.RawMessage
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read openapi.json: %w", err)
	}
	if err := json.Unmarshal(doc["paths"], &paths); err != nil {
		return nil, fmt.Errorf("read the paths of openapi.json: %w", err)
	}
	for path, item := range paths {
		if bytes.Contains(item, []byte(needsMail)) {
			delete(paths, path)
		}
	}
	var err error
	if doc["paths"], err = json.Marshal(paths); err != nil {
		return nil, err
	}
	return json.MarshalIndent(doc, "", "  ")
}
