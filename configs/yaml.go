package configs

import (
	"bytes"
	"errors"
	"io"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// checkYAML refuses two things that the decoder would silently misread: text after the first
// document, which the decoder ignores, and whole numbers that begin with a zero, which it reads as
// octal. It returns false if the file must not be decoded. A text that is not YAML is left for the
// decoder to report.
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
	l.checkLeadingZeros(path, "", &first)
	return true
}

// leadingZero matches a whole number that programs read differently: 017 is 15 in YAML 1.1 and 17
// in YAML 1.2.
var leadingZero = regexp.MustCompile(`^[-+]?0[0-9_]+$`)

const ambiguousNumber = "begins with a zero, which some programs take for octal; write the number without it"

// checkLeadingZeros reports whole numbers with a leading zero in node, which is the value of key.
func (l *loader) checkLeadingZeros(path, key string, node *yaml.Node) {
	switch node.Kind {
	case yaml.DocumentNode, yaml.SequenceNode:
		for _, inner := range node.Content {
			l.checkLeadingZeros(path, key, inner)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			name := node.Content[i].Value
			if _, ok := fieldByKey[key]; ok {
				name = key // faults inside the value of a key are reported for that key
			} else if key != "" {
				name = key + "." + name
			}
			l.checkLeadingZeros(path, name, node.Content[i+1])
		}
	case yaml.ScalarNode:
		if (node.Tag == "!!int" || node.Tag == "!!float") && leadingZero.MatchString(node.Value) {
			if _, ok := fieldByKey[key]; ok {
				l.fault(key, path, "%s", ambiguousNumber)
			}
		}
	}
}
