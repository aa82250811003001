package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/languages"
)

//go:embed templates/*.html
var files embed.FS

// sendForm is the one script inside a page: the form-post page sends its form by itself.
const sendForm = `document.forms[0].submit()`

// Pages makes them. Fill the fields by New.
type Pages struct {
	options   Options
	languages *languages.Set
	templates map[string]func() (*template.Template, error) // by language tag
	sendForm  string                                        // source of the script, as the CSP writes it

	letter                           string
	style, script, theme, icon, logo string // paths of the assets; empty: none
	passkeyScript                    string
	assets                           map[string]asset
}

// Service returns the name that people know the service by.
func (p *Pages) Service() string { return p.options.Service }

// New prepares the pages; an error says what of the options cannot be used.
func New(o Options) (*Pages, error) {
	p := &Pages{options: o, templates: make(map[string]func() (*template.Template, error))}
	if o.Service == "" {
		p.options.Service = "Signet"
	}
	if s := p.options.Service; !utf8.ValidString(s) || clean(s, maxService) != s {
		return nil, fmt.Errorf("the service name is not one line of at most %d visible characters", maxService)
	}
	if o.Base != "" && (!strings.HasPrefix(o.Base, "/") || strings.HasSuffix(o.Base, "/") || strings.HasPrefix(o.Base, "//")) {
		return nil, errors.New("the base is not a path without a slash at the end")
	}
	p.letter = initial(p.options.Service)
	if err := p.load(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(sendForm))
	p.sendForm = "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	tags := o.Languages
	if len(tags) == 0 {
		tags = languages.Tags()
	}
	var err error
	if p.languages, err = languages.Load(tags); err != nil {
		return nil, err
	}
	for _, l := range p.languages.Languages() {
		p.templates[l.Tag] = sync.OnceValues(func() (*template.Template, error) { return parse(l) })
	}
	// They are the same files in every language, so that this one tells whether they can be read.
	if _, err := p.templates[p.languages.Default().Tag](); err != nil {
		return nil, err
	}
	return p, nil
}

// parse reads the templates for a language. It is called when the first page in it is shown: each
// language takes half a MiB in many small objects, and looking through them was most of what a
// collection of garbage cost.
func parse(l *languages.Language) (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{
		"say": func(name string, values ...string) (template.HTML, error) { return say(l, name, values...) },
	}).ParseFS(files, "templates/*.html")
}

// view is what the templates see. What others wrote has been cleaned.
type view struct {
	Language                 *languages.Language
	Languages                []*languages.Language // to choose from, at the foot; empty: no choice
	Here                     string                // the page that a choice of language leads back to
	Service, Letter          string
	Base                     string
	Style, Theme, Icon, Logo string
	PageScript               string // path of the script; empty: the page has no form to make easier
	PasskeyScript            string // path of the script; empty: the page neither makes nor uses passkeys
	Title                    string // name of a text
	Heading                  string // instead of it, on error pages
	Name                     string // of the page, for themes
	Request, CSRF            string

	Client   *app
	User     string
	Continue *Continue // whose User has been cleaned
	Problems []string  // of the form as a whole
	Listed   []field   // whose problems are told above the form, too
	Fields   []field
	More     []field // that may be left out
	MoreOpen bool

	Signup, Again     bool
	Forgot            bool   // link to the page
	Page              string // that the form is sent to, where templates are shared
	First             bool   // there was no password before
	Pending           string // the handle of a request that another page goes on with; empty: none
	Sent, NewPassword bool   // a message was asked for; a new password is needed
	Why               string // the message was asked for: see VerifyPage
	Scopes            []scope
	Resources         []string
	Advice, RequestID string
	Fault             string // of the app, for its makers
	SignIn            bool   // a link to the login page
	SignedIn          bool   // a link to the account in its place
	TryAgain          string // the page to try again at; empty: none
	AskAgain          string // the page that asks for another message; empty: none
	Start             *app   // to start the sign-in in again; nil: none
	NotBack           string // not_registered, not_proved; empty: nothing to say

	Frames []string     // addresses of hidden frames
	To     template.URL // where the page leads by itself after them; empty: nowhere
	Leave  template.JS

	Action     template.URL // form-post page
	Parameters [][2]string
	SendForm   template.JS
	Outward    bool // it leads to the app
	Stay       *stay

	Next    string       // page of the account that the login leads to; empty: the first
	Account *accountView // of the pages of the account

	Second  *secondView // of the page of a second step, and of one that asks for it beside a password
	Setup   *setupView  // of the page that sets up a second factor
	Code    string      // typed, of a message
	Factor  bool        // what is undone is a second factor
	Passkey bool        // a passkey alone can log in
	Count   string      // of what the page is about

	Device  *deviceView // of the page that asks for a device's code, and of a consent page of a device
	Allowed bool        // the device has access
}

// way leads from one page to another with the same request: by a link, or by a form if the request is too long for an
// address.
type way struct {
	Base, Page, Request string
	Text                template.HTML
	InForm              bool
}

// Way is the way to a page.
func (v *view) Way(page string, text template.HTML) way {
	return way{Base: v.Base, Page: page, Request: v.Request, Text: text, InForm: !FitsAddress(v.Request)}
}

// app is a client as it is shown.
type app struct {
	Name, Host, IDHost  string
	Initial             string // in the place of a logo that cannot be loaded
	Verified, SelfMade  bool
	Logo                string // a path of ours, or empty
	Policy, Terms, Link string // https, or empty
}

// scope is a sentence when we know one, else a name.
type scope struct {
	Text, Name string
	Claim      bool // the scope stands for claims about the user
}

// common begins the view of a page.
func (p *Pages) common(c Common, name string) *view {
	l := p.languages.Of(string(c.Locale))
	if l == nil {
		l = p.languages.Default()
	}
	return &view{
		Language: l, Service: p.options.Service, Letter: p.letter, Base: p.options.Base,
		Style: p.style, Theme: p.theme, Icon: p.icon, Logo: p.logo,
		Name: name, Title: "title." + name, Request: c.Request, CSRF: c.CSRF,
	}
}

// showClient shows an app that asks for something.
func (v *view) showClient(c *Client) {
	if c == nil {
		return
	}
	v.Client = &app{
		Name: clean(c.Name, maxName), Host: cleanHost(c.Host), IDHost: cleanHost(c.IDHost), Verified: c.FirstParty, SelfMade: c.SelfMade,
		Logo: ownPath(v.Base, c.Logo), Policy: webLink(c.PolicyURI), Terms: webLink(c.TOSURI), Link: webLink(c.ClientURI),
	}
	if v.Client.Name == "" {
		v.Client.Name = v.Language.Text("pages.app.unnamed")
	}
	v.Client.Initial = initial(v.Client.Name)
}

// showWayBack shows an app that asks for nothing: only the way back to it.
func (v *view) showWayBack(c *Client) {
	v.showClient(c)
	if v.Client != nil {
		v.Client.Logo, v.Client.Policy, v.Client.Terms = "", "", ""
	}
}

// offer shows the choice to go on as the user who is logged in. The focus stays away from the fields, which are the other
// choice.
func (v *view) offer(c *Continue) {
	if c == nil {
		return
	}
	v.Continue = &Continue{User: clean(c.User, maxUser), CSRF: c.CSRF}
	if !v.Wrong() {
		for _, f := range v.all() {
			f.Autofocus = false
		}
	}
}

// Linked tells whether the app has links of its own, for the foot of the page.
func (v *view) Linked() bool {
	return v.Client != nil && (v.Client.Policy != "" || v.Client.Terms != "")
}

// easier gives the page the script that makes its form easier, and the policy that goes with it.
func (p *Pages) easier(v *view, c Common) policy {
	v.PageScript = p.script
	return policy{forms: formsOf(c), script: home}
}

// withPasskeys is easier for a page that makes or uses passkeys: its script asks us for the options.
func (p *Pages) withPasskeys(v *view, c Common) policy {
	v.PasskeyScript = p.passkeyScript
	csp := p.easier(v, c)
	csp.connect = home
	return csp
}

// choice lets people choose the language, and leads them back to the page here.
func (p *Pages) choice(v *view, here string) {
	if all := p.languages.Languages(); len(all) > 1 {
		v.Languages, v.Here = all, here
	}
}

// formsOf is where the forms of a page with c may lead.
func formsOf(c Common) string {
	if c.Onward {
		return onward
	}
	return home
}

// render fills the template of v; csp is the policy that goes with it.
func (p *Pages) render(v *view, csp policy) (Page, error) {
	var out bytes.Buffer
	if len(v.Languages) > 0 && csp.forms == nowhere {
		csp.forms = home
	}
	templates, err := p.templates[v.Language.Tag]()
	if err != nil {
		return Page{}, err
	}
	if err := templates.ExecuteTemplate(&out, v.Name+".html", v); err != nil {
		return Page{}, fmt.Errorf("page %s: %w", v.Name, err)
	}
	return Page{Body: out.Bytes(), CSP: csp.String(), Language: v.Language.Tag}, nil
}

func (p *Pages) Login(d LoginPage) (Page, error) {
	v := p.common(d.Common, "login")
	p.choice(v, "login")
	v.showClient(d.Client)
	v.Signup, v.Forgot, v.Again = d.Signup && !d.Reauthenticate, d.Forgot, d.Reauthenticate
	if d.Reauthenticate {
		v.Title = "title.again"
	}
	v.Next = d.Next
	v.Stay = stayOf(v.Language, d.Stay)
	v.Fields = []field{
		{Name: "email", Label: "field.name", Subject: "name", Type: "text", InputMode: "email", Autocomplete: "username", Value: typed(d.Name), Required: true},
		{Name: "password", Label: "field.password", Type: "password", Autocomplete: "current-password", Required: true},
	}
	if v.Passkey = d.Passkey; d.Passkey {
		v.Fields[0].Autocomplete = "username webauthn"
	}
	problems := slices.Clone(d.Problems)
	for n, problem := range problems {
		// Which of the two is wrong is not told. The sentence stands where the person types again.
		if problem == (Problem{Code: "invalid_credentials"}) {
			problems[n].Field, v.Fields[0].Shared = "password", "password"
		}
	}
	v.settle(problems)
	v.offer(d.Continue)
	if d.Passkey {
		return p.render(v, p.withPasskeys(v, d.Common))
	}
	return p.render(v, p.easier(v, d.Common))
}

func (p *Pages) Signup(d SignupPage) (Page, error) {
	v := p.common(d.Common, "signup")
	p.choice(v, "signup")
	v.showClient(d.Client)
	v.Fields = []field{
		{Name: "email", Label: "field.email", Type: "text", InputMode: "email", Autocomplete: "username", Value: typed(d.Values["email"]), Required: true},
		{Name: "password", Label: "field.password", Type: "password", Autocomplete: "new-password", Required: true,
			MinLength: d.MinLength, Hint: "hint.password"},
	}
	v.More = []field{
		{Name: "given_name", Label: "field.given_name", Type: "text", Autocomplete: "given-name", Value: typed(d.Values["given_name"])},
		{Name: "family_name", Label: "field.family_name", Type: "text", Autocomplete: "family-name", Value: typed(d.Values["family_name"])},
		{Name: "username", Label: "field.username", Type: "text", Autocomplete: "nickname", Value: typed(d.Values["username"]), Hint: "hint.username"},
	}
	v.settle(d.Problems)
	v.offer(d.Continue)
	return p.render(v, p.easier(v, d.Common))
}

func (p *Pages) Consent(d ConsentPage) (Page, error) {
	v := p.common(d.Common, "consent")
	p.choice(v, "consent")
	v.showClient(&d.Client)
	v.Device = deviceOf(d.Device)
	v.User = clean(d.User, maxUser)
	v.Scopes = scopesOf(v.Language, d.Scopes, d.Claims)
	for _, r := range d.Resources {
		v.Resources = append(v.Resources, clean(r, maxLine))
	}
	v.settle(d.Problems)
	return p.render(v, p.easier(v, d.Common))
}

// scopesOf are scopes as people read them; claims are those that stand for claims about the user.
func scopesOf(l *languages.Language, scopes, claims []string) (out []scope) {
	for _, s := range scopes {
		if l.Text("pages.scope."+s) != "" && s != "other" {
			out = append(out, scope{Text: "scope." + s})
			continue
		}
		out = append(out, scope{Name: clean(s, maxLine), Claim: slices.Contains(claims, s)})
	}
	return out
}

func (p *Pages) Logout(d LogoutPage) (Page, error) {
	v := p.common(d.Common, "logout")
	p.choice(v, "logout")
	v.User = clean(d.User, maxUser)
	return p.render(v, p.easier(v, d.Common))
}

func (p *Pages) SignedOut(d SignedOutPage) (Page, error) {
	v := p.common(d.Common, "signed_out")
	if d.To == "" {
		p.choice(v, "logout")
	}
	v.Title = "title.out"
	if v.NotBack = d.NotBack; d.NotBack != "" {
		v.Title = "title.out_here"
	}
	v.showWayBack(d.Client)
	return p.render(v, p.withFrames(v, d))
}

func (p *Pages) SignedIn(d SignedInPage) (Page, error) {
	v := p.common(d.Common, "signed_in")
	p.choice(v, "login")
	v.Title = "title.in"
	v.User = clean(d.User, maxUser)
	return p.render(v, policy{forms: nowhere})
}

func (p *Pages) Error(d ErrorPage) (Page, error) {
	v := p.common(d.Common, "error")
	v.Heading, v.Advice = trouble(v.Language, d.Code)
	v.Fault = clean(d.Fault, maxLine)
	v.RequestID, v.TryAgain, v.AskAgain, v.SignIn = clean(d.RequestID, maxLine), d.TryAgain, d.AskAgain, d.SignIn
	if d.Start != nil {
		if link := webLink(d.Start.StartURI); link != "" {
			v.Start = &app{Name: clean(d.Start.Name, maxName), Link: link}
		}
	}
	if d.Back == nil {
		return p.render(v, policy{forms: nowhere})
	}
	v.showWayBack(d.Back)
	return p.render(v, policy{forms: formsOf(d.Common)})
}

func (p *Pages) FormPost(d FormPostPage) (Page, error) {
	u, err := url.Parse(d.Action)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return Page{}, errors.New("page form_post: the action is not a web address")
	}
	v := p.common(d.Common, "form_post")
	v.Title, v.Outward = "title.formpost", !d.Inward
	v.Action, v.Parameters, v.SendForm = template.URL(d.Action), d.Parameters, sendForm
	return p.render(v, policy{forms: onward, script: p.sendForm})
}
