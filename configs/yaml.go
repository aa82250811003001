package configs

import (
	"bytes"
	"errors"
	"io"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// checkYAML refuses what the decoder would quietly take for something else: text behind the first
// document, which it does not read, and whole numbers that begin with a zero, which it takes for
// octal. It returns false when the file is not to be read on. What is no YAML at all the decoder
// reports.
func (l *loader) checkYAML(path string, text []byte) bool {
	documents := yaml.NewDecoder(bytes.NewReader(text))
	var first, second yaml.Node
	if err := documents.Decode(&first); err != nil {
		return true
	}
	if err := documents.Decode(&second); !errors.Is(err, io.EOF) {
		l.fault("", path, "holds more than one YAML document, or text behind the end of the first (--- or ...); keep one")
		return false
	}
	l.octals(path, "", &first)
	return true
}

// leadingZero is a whole number of which people and programs disagree: YAML 1.1 reads 017 as 15,
// YAML 1.2 as 17.
var leadingZero = regexp.MustCompile(`^[-+]?0[0-9_]+$`)

const ambiguousNumber = "begins with a zero, which some programs take for octal; write the number without it"

// octals reports whole numbers with a leading zero below node, which is the value of key.
func (l *loader) octals(path, key string, node *yaml.Node) {
	switch node.Kind {
	case yaml.DocumentNode, yaml.SequenceNode:
		for _, inner := range node.Content {
			l.octals(path, key, inner)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			name := node.Content[i].Value
			if _, ok := fieldByKey[key]; ok {
				name = key // within the value of a key all is blamed on that
			} else if key != "" {
				name = key + "." + name
			}
			l.octals(path, name, node.Content[i+1])
		}
	case yaml.ScalarNode:
		if (node.Tag == "!!int" || node.Tag == "!!float") && leadingZero.MatchString(node.Value) {
			if _, ok := fieldByKey[key]; ok {
				l.fault(key, path, "%s", ambiguousNumber)
			}
		}
	}
}
