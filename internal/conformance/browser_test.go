package conformance

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/signet-id/signet/api/apitest"
)

// configuration has the parts of docs/conformance-suite.json that are read here.
type configuration struct {
	Server struct {
		DiscoveryURL string `json:"discoveryUrl"`
		LoginHint    string `json:"login_hint"`
		UILocales    string `json:"ui_locales"`
	} `json:"server"`
	Client     configuredClient        `json:"client"`
	Client2    configuredClient        `json:"client2"`
	ClientPost configuredClient        `json:"client_secret_post"`
	Browser    []automation            `json:"browser"`
	Override   map[string]automatedFor `json:"override"`
}

type configuredClient struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// automatedFor is what is otherwise for one module.
type automatedFor struct {
	Client  *configuredClient `json:"client"`
	Browser []automation      `json:"browser"`
}

// automation is the list of tasks for a browser that was sent to a matching address.
type automation struct {
	Match string `json:"match"`
	Tasks []struct {
		Name     string  `json:"task"`
		Match    string  `json:"match"`
		Optional bool    `json:"optional"`
		Commands [][]any `json:"commands"`
	} `json:"tasks"`
}

func (a automation) matches() (all []string) {
	for _, task := range a.Tasks {
		all = append(all, task.Match)
	}
	return all
}

// readConfiguration reads the file and fills it in as an operator would.
func readConfiguration(t *testing.T, user apitest.User) (c configuration) {
	t.Helper()
	text, err := os.ReadFile("../../docs/conformance-suite.json")
	if err != nil {
		t.Fatal(err)
	}
	filled := string(text)
	for placeholder, value := range map[string]string{
		"https://id.example.com": apitest.IssuerURL, "conformance@example.com": user.Email,
		"PASSWORD OF THE USER": user.Password,
	} {
		if !strings.Contains(filled, placeholder) {
			t.Errorf("docs/conformance-suite.json has no %q to fill in", placeholder)
		}
		filled = strings.ReplaceAll(filled, placeholder, value)
	}
	if err := json.Unmarshal([]byte(filled), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// automated returns the automation for a module.
func (c configuration) automated(module string) []automation {
	if o := c.Override[module]; o.Browser != nil {
		return o.Browser
	}
	return c.Browser
}

// clientOf returns the client of a module.
func (c configuration) clientOf(module string) configuredClient {
	if o := c.Override[module]; o.Client != nil {
		return *o.Client
	}
	return c.Client
}

// browser is the browser that the automation drives. It runs the only kind of script that our pages
// have, keeps cookies, follows redirects, and enforces content security policies as strictly as the
// strictest real browser.
type browser struct {
	t         *testing.T
	client    *http.Client
	automated []automation

	at          *url.URL // of the page
	status      int
	header      http.Header
	source      string
	page        *html.Node
	visited     []string // the paths of the server's pages on the way
	sent        int      // how many forms were sent by a click since the last visit
	screenshots []string // the text of the pages of which screenshots were taken
}

func newBrowser(t *testing.T, n *internet, automated []automation) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := n.client()
	client.Jar = jar
	return &browser{t: t, client: client, automated: automated}
}

// visit sends the browser to an address, as if it was typed, and performs the automation.
func (b *browser) visit(address string) {
	b.t.Helper()
	b.visited, b.sent = nil, 0
	b.load(http.MethodGet, address, "", nil)
	b.perform(address)
}

// post is like visit, but sends the query as the body of a POST from a page of the suite's site:
// the browser sends no cookies that are SameSite=Lax.
func (b *browser) post(address string) {
	b.t.Helper()
	u := b.parse(address)
	query := u.RawQuery
	u.RawQuery = ""
	b.visited, b.sent = nil, 0
	jar := b.client.Jar
	kept, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.client.Jar = kept
	res := b.send(http.MethodPost, u, query,
		http.Header{"Origin": {"https://www.certification.openid.net"}, "Sec-Fetch-Site": {"cross-site"}})
	b.client.Jar = jar
	jar.SetCookies(u, res.Cookies())
	b.arrive(u, res, nil)
	b.perform(address)
}

// script sends a POST as the suite's own browser does, without the headers that name the site of a
// page.
func (b *browser) script(address string) {
	b.t.Helper()
	u := b.parse(address)
	query := u.RawQuery
	u.RawQuery = ""
	b.visited, b.sent = nil, 0
	b.arrive(u, b.send(http.MethodPost, u, query, nil), nil)
	b.perform(address)
}

func (b *browser) parse(address string) *url.URL {
	b.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

func (b *browser) send(method string, u *url.URL, body string, header http.Header) *http.Response {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, u.String(), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Body = io.NopCloser(strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	r.Header.Set("Accept-Language", "en-US,en;q=0.5")
	r.Header.Set("User-Agent", "Mozilla/5.0 (automated)")
	for name, values := range header {
		r.Header[name] = values
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

// load sends a request and follows its redirects. policy is the form-action of the page with the
// form (nil: none); browsers check each redirect against it.
func (b *browser) load(method, address, body string, policy []string) {
	b.t.Helper()
	u := b.parse(address)
	b.allowed(policy, u)
	var header http.Header
	if method == http.MethodPost && b.at != nil {
		site := "cross-site"
		if sameOrigin(b.at, u) {
			site = "same-origin"
		}
		header = http.Header{"Origin": {b.at.Scheme + "://" + b.at.Host}, "Sec-Fetch-Site": {site}}
	}
	b.arrive(u, b.send(method, u, body, header), policy)
}

// arrive follows redirects and reads the page at their end.
func (b *browser) arrive(u *url.URL, res *http.Response, policy []string) {
	b.t.Helper()
	for hops := 0; res.StatusCode/100 == 3; hops++ {
		next, err := u.Parse(res.Header.Get("Location"))
		if err != nil || hops == 20 {
			b.t.Fatalf("%s leads to %q: %v", u, res.Header.Get("Location"), err)
		}
		if res.StatusCode == http.StatusTemporaryRedirect || res.StatusCode == http.StatusPermanentRedirect {
			b.t.Errorf("%s: %d would send a form along", u.Path, res.StatusCode)
		}
		b.allowed(policy, next)
		u = next
		res = b.send(http.MethodGet, u, "", nil)
	}
	source, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.at, b.status, b.header, b.source = u, res.StatusCode, res.Header, string(source)
	if b.page, err = html.Parse(strings.NewReader(b.source)); err != nil {
		b.t.Fatal(err)
	}
	if !strings.HasPrefix(b.header.Get("Content-Type"), "text/html") {
		b.t.Fatalf("%s: %d %s is no page: %.300s", u.Path, b.status, b.header.Get("Content-Type"), b.source)
	}
	if strings.HasPrefix(u.String(), apitest.IssuerURL) {
		b.visited = append(b.visited, u.Path)
	}
	b.run()
}

// run does what the script of a page does: it sends the form. The page's policy has to allow the
// script.
func (b *browser) run() {
	b.t.Helper()
	if b.loadFrames() {
		return
	}
	script := first(b.page, tag("script"))
	if script == nil || script.FirstChild == nil {
		return
	}
	text := script.FirstChild.Data
	if !strings.Contains(text, "submit()") {
		b.t.Fatalf("%s: a script that this browser cannot run: %s", b.at.Path, text)
	}
	hash := sha256.Sum256([]byte(text))
	if allowed := "'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"; !slices.Contains(
		b.directive("script-src"), allowed) {
		b.t.Fatalf("%s: the policy does not let the script of the page run: %s", b.at.Path,
			b.header.Get("Content-Security-Policy"))
	}
	b.submit(first(b.page, tag("form")), nil)
}

// directive returns a directive of the page's policy, or nil.
func (b *browser) directive(name string) []string {
	for part := range strings.SplitSeq(b.header.Get("Content-Security-Policy"), ";") {
		if words := strings.Fields(part); len(words) > 0 && words[0] == name {
			return words[1:]
		}
	}
	return nil
}

func (b *browser) allowed(policy []string, to *url.URL) {
	b.t.Helper()
	if policy == nil || slices.Contains(policy, "'self'") && sameOrigin(b.at, to) ||
		slices.Contains(policy, to.Scheme+"://"+to.Host) {
		return
	}
	b.t.Fatalf("%s: the form's way leads to %s, which form-action %v forbids", b.at.Path, to.Host, policy)
}

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && a.Host == b.Host }

// submit sends a form with one of its buttons (nil: by script).
func (b *browser) submit(form, button *html.Node) {
	b.t.Helper()
	if form == nil {
		b.t.Fatalf("%s: no form to send: %.300s", b.at, b.source)
	}
	fields := url.Values{}
	each(form, func(n *html.Node) {
		if n.Data != "input" || attribute(n, "name") == "" {
			return
		}
		if has(n, "required") && attribute(n, "value") == "" {
			b.t.Fatalf("%s: %s is required and was left empty", b.at.Path, attribute(n, "name"))
		}
		fields.Add(attribute(n, "name"), attribute(n, "value"))
	})
	if name := attribute(button, "name"); name != "" {
		fields.Set(name, attribute(button, "value"))
	}
	if !strings.EqualFold(attribute(form, "method"), "post") {
		b.t.Fatalf("%s: a form that is not posted", b.at.Path)
	}
	to, err := b.at.Parse(attribute(form, "action"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.load(http.MethodPost, to.String(), fields.Encode(), b.directive("form-action"))
}

// perform does the tasks of the first automation whose match fits the address that the browser was
// sent to.
func (b *browser) perform(address string) {
	b.t.Helper()
	i := slices.IndexFunc(b.automated, func(a automation) bool { return wildcard(a.Match, address) })
	if i < 0 {
		b.t.Fatalf("no automation for %s", address)
	}
	for _, task := range b.automated[i].Tasks {
		if task.Match != "" && !wildcard(task.Match, b.at.String()) {
			if !task.Optional {
				b.t.Fatalf("the browser is at %s (%d) when it should %q: %s", b.at, b.status, task.Name, b.text())
			}
			continue
		}
		for _, command := range task.Commands {
			b.command(command)
		}
	}
}

// command performs a click, text or wait.
func (b *browser) command(words []any) {
	b.t.Helper()
	word := func(i int) string {
		if i < len(words) {
			text, _ := words[i].(string)
			return text
		}
		return ""
	}
	switch n := b.element(word(1), word(2)); word(0) {
	case "click":
		if n == nil && word(3) != "optional" {
			b.t.Fatalf("%s has no %s %s: %s", b.at.Path, word(1), word(2), b.text())
		}
		if n != nil {
			form := n
			for form != nil && form.Data != "form" {
				form = form.Parent
			}
			b.sent++
			b.submit(form, n)
		}
	case "text":
		if n == nil && word(4) != "optional" {
			b.t.Fatalf("%s has no %s %s: %s", b.at.Path, word(1), word(2), b.text())
		}
		set(n, "value", word(3))
	case "wait":
		if n == nil {
			b.t.Fatalf("%s (%d) has no %s %s: %s", b.at, b.status, word(1), word(2), b.text())
		}
		if !regexp.MustCompile(word(4)).MatchString(b.text()) {
			b.t.Fatalf("%s (%d) does not say %q: %s", b.at.Path, b.status, word(4), b.text())
		}
		if strings.HasPrefix(word(5), "update-image-placeholder") {
			b.screenshots = append(b.screenshots, b.text())
		}
	default:
		b.t.Fatalf("no such command: %v", words)
	}
}

// element returns the element that a selector finds.
func (b *browser) element(kind, target string) *html.Node {
	b.t.Helper()
	switch {
	case kind == "id" || kind == "name":
		return first(b.page, func(n *html.Node) bool { return attribute(n, kind) == target })
	case kind == "xpath" && target == "//*":
		return b.page
	}
	b.t.Fatalf("this browser cannot look for %s %s", kind, target)
	return nil
}

// text returns the visible text of the page.
func (b *browser) text() string {
	var words []string
	each(b.page, func(n *html.Node) {
		if n.Type == html.TextNode && n.Parent.Data != "script" && n.Parent.Data != "style" {
			words = append(words, strings.Fields(n.Data)...)
		}
	})
	return strings.Join(words, " ")
}

// wildcard matches addresses as the suite does: * stands for any text.
func wildcard(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return regexp.MustCompile("^(?s:" + strings.Join(parts, ".*") + ")$").MatchString(text)
}

func each(n *html.Node, fn func(*html.Node)) {
	fn(n)
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		each(c, fn)
	}
}

// first returns the first matching element.
func first(n *html.Node, is func(*html.Node) bool) (found *html.Node) {
	each(n, func(n *html.Node) {
		if found == nil && n.Type == html.ElementNode && is(n) {
			found = n
		}
	})
	return found
}

func tag(name string) func(*html.Node) bool { return func(n *html.Node) bool { return n.Data == name } }

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
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

func set(n *html.Node, name, value string) {
	if n == nil {
		return
	}
	n.Attr = slices.DeleteFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
	n.Attr = append(n.Attr, html.Attribute{Key: name, Val: value})
}
