package apitest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// description is openapi.json as the first server answered it, loaded once.
type description struct {
	doc     *openapi3.T
	paths   []describedPath
	schemas *schemas
}

type describedPath struct {
	template string
	segments []string
	item     *openapi3.PathItem
}

var (
	descriptions sync.Map // what a server has, as a key → *descriptionOnce
	validated    sync.Map // refusals that were held against the document already, by shape
	headed       sync.Map // statuses with headers that were, as a key
)

// descriptionOnce is a description that is read once.
type descriptionOnce struct {
	once sync.Once
	read *description
	err  error
}

// Describe loads and validates the document that the server answers with.
func (s *Server) Describe() *openapi3.T {
	s.T.Helper()
	return s.description().doc
}

func (s *Server) description() *description {
	s.T.Helper()
	type parts struct{ mail, passkeys, passkeyOrigins bool }
	r := s.Replicas[0]
	once, _ := descriptions.LoadOrStore(parts{!r.Accounts.NoMail, r.Accounts.Passkeys != nil, len(r.API.PasskeyOrigins) > 0}, &descriptionOnce{})
	d := once.(*descriptionOnce)
	d.once.Do(func() { d.read, d.err = loadDescription(s.Replicas[0].HTTP.URL + "/openapi.json") })
	if d.err != nil {
		s.T.Fatalf("openapi.json: %v", d.err)
	}
	return d.read
}

func loadDescription(url string) (*description, error) {
	res, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(text)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(loader.Context); err != nil {
		return nil, err
	}
	d := &description{doc: doc}
	if d.schemas, err = newSchemas(text); err != nil {
		return nil, err
	}
	for template, item := range doc.Paths.Map() {
		d.paths = append(d.paths, describedPath{template, strings.Split(template, "/"), item})
	}
	return d, nil
}

func (d *description) find(path string) *describedPath {
	path, _, _ = strings.Cut(path, "?")
	segments := strings.Split(path, "/")
	var found *describedPath
	for i := range d.paths {
		switch p := &d.paths[i]; {
		case p.template == path: // before a template that it matches as well
			return p
		case p.matches(segments):
			found = p
		}
	}
	return found
}

// matches reports whether a path is one of the template's: a parameter stands for one segment.
func (p *describedPath) matches(path []string) bool {
	return slices.EqualFunc(p.segments, path, func(ours, theirs string) bool {
		return ours == theirs || strings.HasPrefix(ours, "{") && theirs != ""
	})
}

// checkAgainstDocument holds an answer against openapi.json: an operation answers only with
// statuses, headers and bodies that the document says; what is no operation is refused
// in one of the two forms of error. What was accepted must be acceptable by the document too.
func checkAgainstDocument(s *Server, a *Response, sent []byte) {
	s.T.Helper()
	d := s.description()
	method := a.request.Method
	if method == http.MethodHead {
		if len(a.Body) != 0 {
			s.T.Errorf("HEAD %s: a body of %d bytes", a.request.Path, len(a.Body))
		}
		return
	}
	if method == http.MethodOptions && a.Status == http.StatusNoContent {
		return
	}
	var operation *openapi3.Operation
	// An issuer …/p has every path under /p as well, and discovery before it.
	path := d.find(cmp.Or(strings.TrimSuffix(strings.TrimPrefix(a.request.Path, s.issuerPath), s.issuerPath), "/"))
	if path != nil && path.item.Servers != nil && path.template != a.request.Path {
		path = nil // it belongs to the root of the host
	}
	if path != nil {
		operation = path.item.Operations()[method]
	}
	if operation == nil {
		s.checkRefusal(d, a)
		return
	}
	// Validating compiles the schema anew each time; the same refusal is the same answer.
	if a.Status >= 400 {
		if _, known := validated.LoadOrStore(a.shape(path.template), true); known {
			return
		}
	}
	if err := d.conforms(s.T.Context(), path, operation, a); err != nil {
		s.T.Errorf("%s %s: the answer is not what openapi.json says: %v\n%d %.300s", method, a.request.Path, err, a.Status, a.Body)
	}
	if a.Status/100 == 2 && len(sent) > 0 && operation.RequestBody != nil {
		media, _, _ := mime.ParseMediaType(a.request.Type)
		content := operation.RequestBody.Value.Content.Get(media)
		if content == nil {
			s.T.Errorf("%s %s: accepted %q, which openapi.json does not name", method, a.request.Path, media)
			return
		}
		if media == "application/x-www-form-urlencoded" {
			sent = formAsJSON(sent)
		}
		s.checkSchema(content.Schema, sent, "accepted a request that openapi.json refuses", a)
	}
}

// conforms holds status, headers and body of an answer against its operation.
func (d *description) conforms(ctx context.Context, path *describedPath, operation *openapi3.Operation, a *Response) error {
	response := cmp.Or(operation.Responses.Status(a.Status), operation.Responses.Default())
	if response == nil {
		return errors.New("no such status")
	}
	// The same status with the same headers is the same answer, whatever its body.
	head := fmt.Sprint(a.request.Method, path.template, a.Status)
	for _, name := range slices.Sorted(maps.Keys(response.Value.Headers)) {
		value := a.Header[http.CanonicalHeaderKey(name)]
		if name == "X-Request-Id" && len(value) == 1 && len(value[0]) >= 16 {
			value = []string{"always another"}
		}
		head += fmt.Sprintf(" %s: %q", name, value)
	}
	if _, known := headed.Load(head); !known {
		request, _ := http.NewRequest(a.request.Method, "http://x.test/", nil)
		err := openapi3filter.ValidateResponse(ctx, &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{
				Request: request,
				Route: &routers.Route{
					Spec: d.doc, Path: path.template, PathItem: path.item, Method: a.request.Method, Operation: operation,
				},
			},
			Status: a.Status, Header: a.Header,
			Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: true},
		})
		if err != nil {
			return err
		}
		headed.Store(head, true)
	}
	if len(response.Value.Content) == 0 || a.Status == http.StatusNotModified {
		return nil
	}
	media := a.Header.Get("Content-Type")
	content := response.Value.Content.Get(media)
	switch {
	case content == nil:
		return fmt.Errorf("no such media type: %q", media)
	case content.Schema == nil, media == linesType, signedTypes[media]:
		return nil
	}
	return d.schemas.check(content.Schema, a.Body)
}

// formAsJSON is a form as the document describes one: an object, with a list where a parameter was
// repeated.
func formAsJSON(form []byte) []byte {
	values, _ := url.ParseQuery(string(form))
	object := Fields{}
	for name, list := range values {
		if object[name] = list[0]; len(list) > 1 {
			object[name] = list
		}
	}
	return []byte(object.Text())
}

// shape is everything about an answer that the document speaks of, save values that always differ.
func (a *Response) shape(template string) string {
	var b strings.Builder
	fmt.Fprintln(&b, a.request.Method, template, a.Status, string(a.Body))
	for _, name := range slices.Sorted(maps.Keys(a.Header)) {
		if value := a.Header[name]; name == "Date" || name == "X-Request-Id" {
			fmt.Fprintln(&b, name, len(value) == 1 && len(value[0]) > 0)
		} else {
			fmt.Fprintln(&b, name, value)
		}
	}
	return b.String()
}

// checkRefusal is for paths and methods that are no operation.
func (s *Server) checkRefusal(d *description, a *Response) {
	s.T.Helper()
	name := "Problem"
	if strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") && a.Status >= 400 {
		return // people get a page
	}
	if media, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); media == "application/json" {
		name = "OAuthError"
	}
	if a.Status < 400 {
		s.T.Errorf("%s %s: answered %d, but is not in openapi.json", a.request.Method, a.request.Path, a.Status)
		return
	}
	schema := &openapi3.SchemaRef{Ref: "#/components/schemas/" + name, Value: d.doc.Components.Schemas[name].Value}
	s.checkSchema(schema, a.Body, "the refusal is no "+name, a)
}

func (s *Server) checkSchema(schema *openapi3.SchemaRef, text []byte, what string, a *Response) {
	s.T.Helper()
	if err := s.description().schemas.check(schema, text); err != nil {
		s.T.Errorf("%s %s: %s: %v\n%.300s", a.request.Method, a.request.Path, what, err, text)
	}
}
