package apitest

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Fields is a JSON object.
type Fields map[string]any

// Request is one request. The zero value is GET / on the first replica.
type Request struct {
	Method  string // empty: GET
	Path    string // with query; as it goes over the wire
	Token   string // access token, as Authorization: Bearer
	Header  http.Header
	Proof   func() string // a DPoP proof, made anew each time that the request is sent; nil: none
	Form    url.Values    // the body, as a form; nil: none
	Basic   [2]string     // client id and secret, form-encoded into the Authorization header; empty: none
	Body    any           // string or []byte as it is; anything else as JSON
	Type    string        // Content-Type; empty: application/json when there is a body; "-": none
	Host    string        // empty: the replica's address
	Replica int
}

// Response is an answer that has passed every check.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	Close  bool // the server ends the connection

	server  *Server
	request Request
}

// client follows nothing: a redirect is an answer to look at.
var client = &http.Client{
	Timeout:       2 * patience,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Do sends a request and holds the answer against everything that is true of all
// answers. It fails the test when there is none.
func (s *Server) Do(q Request) *Response {
	s.T.Helper()
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	if s.Around != nil {
		return s.Around(q, s.send)
	}
	return s.send(q)
}

func (s *Server) send(q Request) *Response {
	s.T.Helper()
	if q.Form != nil {
		q.Body = q.Form.Encode()
		if q.Type == "" {
			q.Type = "application/x-www-form-urlencoded"
		}
	}
	body := q.bytes(s)
	r, err := http.NewRequestWithContext(s.T.Context(), q.Method, s.Replicas[q.Replica].HTTP.URL+q.Path, bytes.NewReader(body))
	if err != nil {
		s.T.Fatalf("%s %s: %v", q.Method, q.Path, err)
	}
	if q.Body == nil {
		r.Body, r.ContentLength = nil, 0
	}
	r.Host = q.Host
	for name, values := range q.Header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	if q.Proof != nil {
		r.Header.Set("DPoP", q.Proof())
	}
	if q.Token != "" {
		r.Header.Set("Authorization", "Bearer "+q.Token)
	}
	if q.Basic[0] != "" {
		r.SetBasicAuth(url.QueryEscape(q.Basic[0]), url.QueryEscape(q.Basic[1]))
	}
	if q.Body != nil && q.Type != "-" {
		if q.Type == "" {
			q.Type = "application/json"
		}
		r.Header.Set("Content-Type", q.Type)
	}
	s.keepSent(r, body)
	res, err := client.Do(r)
	if err != nil {
		s.T.Fatalf("%s %s: no answer: %v", q.Method, q.Path, err)
	}
	return s.take(q, body, res)
}

// Raw sends bytes as they are and takes the one answer to them.
func (s *Server) Raw(method, text string) *Response {
	s.T.Helper()
	conn, err := net.Dial("tcp", s.Replicas[0].HTTP.Listener.Addr().String())
	if err != nil {
		s.T.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text))); err == nil {
		body, _ := io.ReadAll(r.Body)
		s.keepSent(r, body)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		s.T.Fatalf("send: %v", err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		s.T.Fatalf("%.80q: no answer: %v", text, err)
	}
	path := ""
	if fields := strings.Fields(text); len(fields) > 1 {
		path = fields[1]
	}
	return s.take(Request{Method: method, Path: path}, nil, res)
}

func (s *Server) take(q Request, sent []byte, res *http.Response) *Response {
	s.T.Helper()
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.T.Fatalf("%s %s: the answer broke off: %v", q.Method, q.Path, err)
	}
	a := &Response{Status: res.StatusCode, Header: res.Header, Body: body, Close: res.Close, server: s, request: q}
	s.keepTokens(a)
	s.check(a)
	checkAgainstDocument(s, a, sent)
	s.checkOpening(a)
	return a
}

func (q Request) bytes(s *Server) []byte {
	switch b := q.Body.(type) {
	case nil:
		return nil
	case string:
		return []byte(b)
	case []byte:
		return b
	default:
		text, err := json.Marshal(b)
		if err != nil {
			s.T.Fatal(err)
		}
		return text
	}
}

// Post sends a request of a client without an access token.
func Post(s *Server, path string, body any) *Response {
	s.T.Helper()
	return s.Do(Request{Method: http.MethodPost, Path: path, Body: body})
}

// Shown is what an answer shows of a request, beside the texts that are random: its status, its
// headers and the length of its body.
func Shown(a *Response) string {
	h := a.Header.Clone()
	h.Del("X-Request-Id")
	h.Del("Date")
	return fmt.Sprint(a.Status, h, len(a.Body))
}

// Code is the stable code of a refusal; empty for anything else.
func (a *Response) Code() string {
	var p struct {
		Code  string `json:"code"`
		Error string `json:"error"`
	}
	if a.Status < 400 || json.Unmarshal(a.Body, &p) != nil {
		return ""
	}
	return cmp.Or(p.Code, p.Error)
}

// Faults are those that errors names, joined with spaces, each as field:code.
func (a *Response) Faults() string {
	var p struct {
		Errors []struct{ Field, Code string } `json:"errors"`
	}
	_ = json.Unmarshal(a.Body, &p)
	var out []string
	for _, e := range p.Errors {
		out = append(out, e.Field+":"+e.Code)
	}
	return strings.Join(out, " ")
}

// Want fails the test unless status and code are these.
func (a *Response) Want(status int, code string) *Response {
	a.server.T.Helper()
	if a.Status != status || a.Code() != code {
		a.server.T.Fatalf("%s %s: got %d %q, want %d %q: %.400s", a.request.Method, a.request.Path, a.Status, a.Code(), status, code, a.Body)
	}
	return a
}

// JSON decodes the body.
func (a *Response) JSON(v any) *Response {
	a.server.T.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		a.server.T.Fatalf("%s %s: %v: %.400s", a.request.Method, a.request.Path, err, a.Body)
	}
	return a
}
