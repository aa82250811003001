package conformance

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// random returns a random text of that length; a long one has every character that needs no
// escape.
func random(length int) string {
	b := make([]byte, length)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = alphanumeric[int(b[i])%len(alphanumeric)]
	}
	if length > 10 {
		copy(b[length-4:], "-._~")
	}
	return string(b)
}

// authorization returns the parameters with which every module begins an authorization request;
// edit changes them. The Basic profile sends no PKCE.
func (p *party) authorization(scope string, edit ...func(url.Values)) url.Values {
	q := url.Values{
		"client_id": {p.client.ID}, "redirect_uri": {callbackURL}, "scope": {scope}, "state": {random(max(p.state, 10))},
		"nonce": {random(10)}, "response_type": {cmp.Or(p.responseType, "code")},
	}
	if p.formPost {
		q.Set("response_mode", "form_post")
	}
	for _, fn := range edit {
		fn(q)
	}
	p.inFragment = !p.formPost && strings.Contains(q.Get("response_type"), "token")
	return q
}

// includes reports whether the response type of the variant has a word.
func (p *party) includes(word string) bool {
	return slices.Contains(strings.Fields(cmp.Or(p.responseType, "code")), word)
}

// with returns an edit that sets a parameter; an empty value removes it.
func with(name, value string) func(url.Values) {
	return func(q url.Values) {
		if q.Set(name, value); value == "" {
			q.Del(name)
		}
	}
}

func (p *party) endpoint(q url.Values) string {
	return address(p.op.text("authorization_endpoint"), q, slices.Sorted(maps.Keys(q)))
}

// address returns an endpoint with parameters in the order of names, byte for byte as the suite
// writes it. Spring's UriComponentsBuilder escapes only what RFC 3986 section 3.4 demands in a
// query, and the two characters that separate parameters. So the address has a redirect URI
// unescaped.
func address(endpoint string, q url.Values, names []string) string {
	var b strings.Builder
	for _, name := range names {
		for _, value := range q[name] {
			b.WriteString("&" + escape(name) + "=" + escape(value))
		}
	}
	return endpoint + "?" + strings.TrimPrefix(b.String(), "&")
}

func escape(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if strings.IndexByte(alphanumeric+"-._~!$'()*+,;:@/?", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// authorize sends the browser to the authorization endpoint and returns the authorization response.
func (p *party) authorize(q url.Values) url.Values {
	p.t.Helper()
	p.n.arrived = nil
	p.b.visit(p.endpoint(q))
	return p.back()
}

// back returns the one authorization response, and demands that it came by the requested response
// mode.
func (p *party) back() url.Values {
	p.t.Helper()
	if len(p.n.arrived) != 1 {
		p.t.Fatalf("%d requests came to the suite; the browser is at %s (%d): %s", len(p.n.arrived), p.b.at,
			p.b.status, p.b.text())
	}
	a := p.n.arrived[0]
	address, query := a.url, a.url.Query()
	address.RawQuery, address.Fragment, address.RawFragment = "", "", ""
	if address.String() != callbackURL {
		p.t.Fatalf("the browser came back to %s", address.String())
	}
	if p.inFragment {
		if a.method != http.MethodGet || len(query) != 0 {
			p.t.Errorf("the response came by %s, with the query %v", a.method, query)
		}
		values, err := url.ParseQuery(a.url.EscapedFragment())
		if err != nil {
			p.t.Fatal(err)
		}
		return p.once(values)
	}
	if !p.formPost {
		if a.method != http.MethodGet || a.url.Fragment != "" {
			p.t.Errorf("the response came by %s, with the fragment %q", a.method, a.url.Fragment)
		}
		return p.once(query)
	}
	media, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if a.method != http.MethodPost || media != "application/x-www-form-urlencoded" || len(query) != 0 {
		p.t.Errorf("the response came by %s as %q, with the query %v", a.method, media, query)
	}
	form, err := url.ParseQuery(a.body)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.once(form)
}

func (p *party) once(q url.Values) url.Values {
	p.t.Helper()
	for name, values := range q {
		if len(values) != 1 {
			p.t.Errorf("the response has %s %d times", name, len(values))
		}
	}
	return q
}

// only demands that a response has only these parameters.
func (p *party) only(q url.Values, names ...string) {
	p.t.Helper()
	for name := range q {
		if !slices.Contains(names, name) {
			p.t.Errorf("the response has a parameter %s: %v", name, q)
		}
	}
}

// commonParameters demands what holds for successful responses and error responses alike.
func (p *party) commonParameters(sent, got url.Values) {
	p.t.Helper()
	if got.Get("state") != sent.Get("state") {
		p.t.Errorf("state %q came back as %q", sent.Get("state"), got.Get("state"))
	}
	// RFC 9207: the discovery document promises iss.
	if got.Get("iss") != p.op.text("issuer") {
		p.t.Errorf("iss is %q", got.Get("iss"))
	}
}

// code demands a successful response, keeps it, and returns its code; empty: the response type has
// none.
func (p *party) code(sent, got url.Values) string {
	p.t.Helper()
	if got.Has("error") {
		p.t.Fatalf("refused: %v", got)
	}
	p.commonParameters(sent, got)
	names := []string{"state", "iss", "session_state"}
	want := map[string][]string{"code": {"code"}, "id_token": {"id_token"}, "token": {"access_token", "token_type", "expires_in", "scope"}}
	for word, parameters := range want {
		if !p.includes(word) {
			continue
		}
		names = append(names, parameters...)
		for _, name := range parameters {
			if text := got.Get(name); text == "" || strings.IndexFunc(text, func(c rune) bool { return c < 0x20 || c > 0x7e }) >= 0 {
				p.t.Fatalf("%s is %q", name, text)
			}
		}
	}
	p.only(got, names...)
	p.response = got
	return got.Get("code")
}

var errorText = regexp.MustCompile(`^[\x20-\x21\x23-\x5b\x5d-\x7e]+$`)

// refused demands an error response with one of these codes.
func (p *party) refused(sent, got url.Values, codes ...string) {
	p.t.Helper()
	p.commonParameters(sent, got)
	p.only(got, "error", "error_description", "error_uri", "state", "session_state", "iss")
	p.describes(got.Get("error"), got.Get("error_description"), codes...)
}

func (p *party) describes(code, description string, codes ...string) {
	p.t.Helper()
	if !slices.Contains(codes, code) {
		p.t.Errorf("refused with %q (%s), want one of %q", code, description, codes)
	}
	if description != "" && !errorText.MatchString(description) {
		p.t.Errorf("error_description has characters that it may not: %q", description)
	}
}
