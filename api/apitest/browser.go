package apitest

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Browser is a browser without JavaScript: it keeps cookies, follows redirects as long as they stay
// with us, finds forms by the ids of their buttons, and says of itself what browsers say.
type Browser struct {
	Server   *Server
	Replica  int               // that it talks to
	Cookies  map[string]string // by name
	Set      []*http.Cookie    // every cookie that it was ever given, in order
	Language string            // Accept-Language; empty: none
	Agent    string            // User-Agent; empty: a name of this package's

	NoCookies bool // it keeps none

	origin string
}

// Browser is a fresh one.
func (s *Server) Browser() *Browser {
	u, err := url.Parse(s.Replicas[0].Issuer.URL)
	if err != nil {
		s.T.Fatal(err)
	}
	return &Browser{Server: s, Cookies: map[string]string{}, origin: u.Scheme + "://" + u.Host}
}

// With is the same browser under a subtest's own T.
func (b *Browser) With(s *Server) *Browser {
	c := *b
	c.Server = s
	return &c
}

// Page is where a browser ended up: a page of ours, or the address of somebody else.
type Page struct {
	*Response
	Path string // of ours, with its query
	To   string // of somebody else, whom the last answer led to; empty: nobody

	browser *Browser
	doc     *html.Node
}

// Open goes to a path of ours, as from a link.
func (b *Browser) Open(path string) *Page {
	b.Server.T.Helper()
	return b.Follow(Request{Path: path})
}

// Send is one request as the browser would make it, with its cookies; nothing is followed.
func (b *Browser) Send(q Request) *Page {
	b.Server.T.Helper()
	h := http.Header{"Accept": {"text/html"}}
	if b.Language != "" {
		h.Set("Accept-Language", b.Language)
	}
	if h.Set("User-Agent", b.Agent); b.Agent == "" {
		h.Set("User-Agent", "apitest.Browser")
	}
	if q.Method == http.MethodPost {
		h.Set("Origin", b.origin)
		h.Set("Sec-Fetch-Site", "same-origin")
	}
	var cookies []string
	for _, name := range slices.Sorted(maps.Keys(b.Cookies)) {
		cookies = append(cookies, name+"="+b.Cookies[name])
	}
	if len(cookies) > 0 {
		h.Set("Cookie", strings.Join(cookies, "; "))
	}
	for name, values := range q.Header { // a nil list takes one away
		if h[name] = values; values == nil {
			delete(h, name)
		}
	}
	q.Header, q.Replica = h, b.Replica
	q.Host = strings.TrimPrefix(strings.TrimPrefix(b.origin, "https://"), "http://")
	a := b.Server.Do(q)
	for _, c := range (&http.Response{Header: a.Header}).Cookies() {
		if b.Set = append(b.Set, c); b.NoCookies {
			continue
		}
		if b.Cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.Cookies, c.Name)
		}
	}
	p := &Page{Response: a, Path: q.Path, browser: b}
	if strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		doc, err := html.Parse(strings.NewReader(string(a.Body)))
		if err != nil {
			b.Server.T.Fatalf("%s: %v", q.Path, err)
		}
		p.doc = doc
	}
	return p
}

// Follow is Send, and then goes wherever the answer leads.
func (b *Browser) Follow(q Request) *Page {
	b.Server.T.Helper()
	for range 10 {
		p := b.Send(q)
		location := p.Header.Get("Location")
		switch {
		case p.Status == http.StatusOK && p.sendsItself():
			action, fields := p.Posted()
			q = Request{Method: http.MethodPost, Path: strings.TrimPrefix(action, b.origin), Form: fields}
			continue
		case p.Status/100 != 3:
			return p
		case !strings.HasPrefix(location, "/"):
			p.To = location
			return p
		}
		q = Request{Path: location}
	}
	b.Server.T.Fatalf("%s: redirected in circles", q.Path)
	return nil
}

// Open goes to a path of ours, as from a link on the page.
func (p *Page) Open(path string) *Page {
	p.browser.Server.T.Helper()
	return p.browser.Open(path)
}

// Submit presses a button, by its id, after filling in fields. What is under a name that the form
// has not is sent as well.
func (p *Page) Submit(button string, fields map[string]string) *Page {
	p.browser.Server.T.Helper()
	return p.browser.Follow(p.Form(button, fields))
}

// Form is the request that pressing a button would make.
func (p *Page) Form(button string, fields map[string]string) Request {
	t := p.browser.Server.T
	t.Helper()
	pressed := p.find(func(n *html.Node) bool { return attribute(n, "id") == button })
	if pressed == nil {
		t.Fatalf("%s has no #%s: %d %.600s", p.Path, button, p.Status, p.Body)
	}
	form := pressed
	for form != nil && form.Data != "form" {
		form = form.Parent
	}
	if form == nil || attribute(form, "method") != "post" {
		t.Fatalf("%s: #%s stands in no form that is posted", p.Path, button)
	}
	q := Request{Method: http.MethodPost, Path: attribute(form, "action"), Form: inputs(form)}
	if name := attribute(pressed, "name"); name != "" {
		q.Form.Set(name, attribute(pressed, "value"))
	}
	for name, value := range fields {
		q.Form.Set(name, value)
	}
	return q
}

// Posted is what the one form of a page sends to somebody else (form_post).
func (p *Page) Posted() (action string, fields url.Values) {
	p.browser.Server.T.Helper()
	form := p.find(func(n *html.Node) bool { return n.Data == "form" })
	if form == nil {
		p.browser.Server.T.Fatalf("%s: no form: %d %.600s", p.Path, p.Status, p.Body)
	}
	return attribute(form, "action"), inputs(form)
}

// sendsItself tells whether the page is one whose form the browser sends by itself, to us.
func (p *Page) sendsItself() bool {
	body := p.find(func(n *html.Node) bool { return n.Data == "body" })
	form := p.find(func(n *html.Node) bool { return n.Data == "form" })
	return attribute(body, "class") == "page-form_post" && strings.HasPrefix(attribute(form, "action"), p.browser.origin+"/")
}

func inputs(form *html.Node) url.Values {
	values := url.Values{}
	walk(form, func(n *html.Node) bool {
		box := attribute(n, "type") == "checkbox"
		if n.Data == "input" && attribute(n, "name") != "" && (!box || slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "checked" })) {
			values.Add(attribute(n, "name"), attribute(n, "value"))
		}
		return false
	})
	return values
}

// Has tells whether the page has an element of that id.
func (p *Page) Has(id string) bool {
	return p.find(func(n *html.Node) bool { return attribute(n, "id") == id }) != nil
}

// Value is what stands in the input of that name.
func (p *Page) Value(name string) string {
	return attribute(p.find(func(n *html.Node) bool { return n.Data == "input" && attribute(n, "name") == name }), "value")
}

// Link is where the first link leads whose address begins so; empty: there is none.
func (p *Page) Link(prefix string) string {
	return attribute(p.find(func(n *html.Node) bool { return n.Data == "a" && strings.HasPrefix(attribute(n, "href"), prefix) }), "href")
}

// Text is all that can be read, with single spaces.
func (p *Page) Text() string { return textOf(p.doc) }

// ElementText is Text of the element of that id.
func (p *Page) ElementText(id string) string {
	return textOf(p.find(func(n *html.Node) bool { return attribute(n, "id") == id }))
}

func textOf(of *html.Node) string {
	var b strings.Builder
	if of != nil {
		walk(of, func(n *html.Node) bool {
			if n.Type == html.TextNode {
				b.WriteString(n.Data + " ")
			}
			return false
		})
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// Query is that of the address which the browser was sent to.
func (p *Page) Query() url.Values {
	p.browser.Server.T.Helper()
	u, err := url.Parse(p.To)
	if err != nil || p.To == "" {
		p.browser.Server.T.Fatalf("%s: the browser was sent nowhere: %d %q %.600s", p.Path, p.Status, p.To, p.Text())
	}
	return u.Query()
}

// Fragment is that of the address which the browser was sent to, which has no query.
func (p *Page) Fragment() url.Values {
	p.browser.Server.T.Helper()
	base, fragment, found := strings.Cut(p.To, "#")
	values, err := url.ParseQuery(fragment)
	if err != nil || !found || strings.ContainsAny(base, "?") || strings.ContainsAny(fragment, "#?") {
		p.browser.Server.T.Fatalf("%s: the browser was sent to no fragment: %d %q %.600s", p.Path, p.Status, p.To, p.Text())
	}
	return values
}

// WantPage fails the test unless the page has an element of that id and came with that status.
func (p *Page) WantPage(status int, id string) *Page {
	p.browser.Server.T.Helper()
	if p.Status != status || p.To != "" || id != "" && !p.Has(id) {
		p.browser.Server.T.Fatalf("%s: got %d to %q, want a page with #%s and status %d: %.600s", p.Path, p.Status, p.To, id, status, p.Text())
	}
	return p
}

func (p *Page) find(is func(*html.Node) bool) *html.Node {
	if p.doc == nil {
		return nil
	}
	return walk(p.doc, is)
}

func walk(n *html.Node, is func(*html.Node) bool) *html.Node {
	if is(n) {
		return n
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if found := walk(c, is); found != nil {
			return found
		}
	}
	return nil
}

func attribute(n *html.Node, name string) string {
	if n != nil {
		for _, a := range n.Attr {
			if a.Key == name {
				return a.Val
			}
		}
	}
	return ""
}

// SignIn opens a path and, on the login page that it leads to, signs a user in.
func (b *Browser) SignIn(path string, u User) *Page {
	b.Server.T.Helper()
	return b.Open(path).WantPage(http.StatusOK, "login-submit").Submit("login-submit", map[string]string{"email": u.Email, "password": u.Password})
}

// AuthorizePath is an authorization request of c, for openid profile email with PKCE, state and
// nonce; edit may change it.
func AuthorizePath(c Client, edit ...func(url.Values)) string {
	q := url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {c.RedirectURIs[0]}, "scope": {"openid profile email"},
		"state": {"the state"}, "nonce": {"the nonce"}, "code_challenge": {Challenge}, "code_challenge_method": {"S256"},
	}
	for _, fn := range edit {
		fn(q)
	}
	return "/oauth2/authorize?" + q.Encode()
}

// Param sets a parameter of a request; an empty value takes it away.
func Param(name, value string) func(url.Values) {
	return func(q url.Values) {
		if q.Set(name, value); value == "" {
			q.Del(name)
		}
	}
}

// Params sets parameters of a request, given as name, value, name, value; an empty value takes one
// away.
func Params(pairs ...string) func(url.Values) {
	return func(q url.Values) {
		for i := 0; i < len(pairs); i += 2 {
			Param(pairs[i], pairs[i+1])(q)
		}
	}
}

// WantError fails the test unless the browser was sent to the app with this error, and no code.
func WantError(t testing.TB, p *Page, code string) {
	t.Helper()
	if q := p.Query(); q.Get("error") != code || q.Get("code") != "" || q.Get("iss") != IssuerURL {
		t.Errorf("got %v, want error %s", q, code)
	}
}

// WantCode fails the test unless the browser was sent to the app with a code, which it returns.
func WantCode(t testing.TB, p *Page) string {
	t.Helper()
	code := p.Query().Get("code")
	if code == "" {
		t.Errorf("got %v, want a code", p.Query())
	}
	return code
}

// UserinfoOf returns the claims that userinfo answers for an access token.
func UserinfoOf(s *Server, tokens Tokens) (claims Fields) {
	s.T.Helper()
	s.Do(Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(http.StatusOK, "").JSON(&claims)
	return claims
}

// ManyScopes are n names that no scope here has.
func ManyScopes(n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprint("x", i))
	}
	return strings.Join(names, " ")
}

// LogIn goes through the pages and redeems the code. The consent page, if there is one, lists just
// what is granted.
func LogIn(s *Server, b *Browser, c Client, edit ...func(url.Values)) Tokens {
	s.T.Helper()
	p := b.Open(AuthorizePath(c, edit...))
	if p.Has("consent-approve") {
		p = p.Submit("consent-approve", nil)
	}
	return s.TokensOf(c, p)
}

// WantPageOrCode allows what the consent page asks for, where it comes, and wants a code.
func WantPageOrCode(t *testing.T, p *Page) {
	t.Helper()
	if p.To == "" {
		p = p.WantPage(200, "consent-approve").Submit("consent-approve", nil)
	}
	WantCode(t, p)
}
