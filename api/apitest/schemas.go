package apitest

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemas are those of openapi.json, compiled once. openapi3 compiles a schema anew for each value,
// which was the longest part of most requests of the tests.
type schemas struct {
	mu       sync.Mutex
	compiler *jsonschema.Compiler
	compiled map[*openapi3.Schema]*jsonschema.Schema
}

// descriptionURL is the address that references of the schemas are relative to; nothing is fetched.
const descriptionURL = "https://id.test/openapi.json"

func newSchemas(description []byte) (*schemas, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(description))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	// A user's picture and website are what the user says.
	c.RegisterFormat(&jsonschema.Format{Name: "uri", Validate: func(any) error { return nil }})
	if err := c.AddResource(descriptionURL, doc); err != nil {
		return nil, err
	}
	return &schemas{compiler: c, compiled: map[*openapi3.Schema]*jsonschema.Schema{}}, nil
}

// check holds a JSON text against a schema of the description.
func (s *schemas) check(schema *openapi3.SchemaRef, text []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	compiled, err := s.of(schema)
	if err != nil {
		return err
	}
	return compiled.Validate(value)
}

func (s *schemas) of(schema *openapi3.SchemaRef) (*jsonschema.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.compiled[schema.Value]; known != nil {
		return known, nil
	}
	url := descriptionURL + schema.Ref
	if schema.Ref == "" { // it stands where it is used, so it becomes a document of its own
		text, err := schema.Value.MarshalJSON()
		if err != nil {
			return nil, err
		}
		text = bytes.ReplaceAll(text, []byte(`"$ref":"#`), []byte(`"$ref":"`+descriptionURL+`#`))
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		url = fmt.Sprintf("https://id.test/%d.json", len(s.compiled))
		if err := s.compiler.AddResource(url, doc); err != nil {
			return nil, err
		}
	}
	compiled, err := s.compiler.Compile(url)
	if err != nil {
		return nil, fmt.Errorf("compile a schema of openapi.json: %w", err)
	}
	s.compiled[schema.Value] = compiled
	return compiled, nil
}
