package web

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/device"
	"github.com/signet-id/signet/internal/languages"
)

// AccountKind is one of the pages on which people look after their account: the name of its template.
type AccountKind string

// The pages of the account.
const (
	AccountHome     AccountKind = "account"
	AccountProfile  AccountKind = "account_profile"
	AccountAddress  AccountKind = "account_address"
	AccountPassword AccountKind = "account_password"
	AccountSessions AccountKind = "account_sessions"
	AccountApps     AccountKind = "account_apps"
	AccountActivity AccountKind = "account_activity"
	AccountData     AccountKind = "account_data"
	AccountDelete   AccountKind = "account_delete"
	AccountDeleted  AccountKind = "account_deleted"
)

// Path is where the page is, without a slash before it.
func (k AccountKind) Path() string { return strings.Replace(string(k), "_", "/", 1) }

// AccountKinds lists the pages of the account that have an address: the first page, then the pages
// that it links to, in the order of its links, then the pages that one of these links to.
var AccountKinds = []AccountKind{
	AccountHome, AccountProfile, AccountAddress, AccountPassword, AccountSecurity, AccountSessions, AccountApps,
	AccountActivity, AccountData, AccountDelete,
	AccountPasskeys, AccountAuthenticator, AccountCodes, AccountTrusted, // AccountSecurity links to these
}

// ProfileFields are the fields of the page of the profile, by their names in the API.
var ProfileFields = []string{"name", "given_name", "family_name", "nickname", "phone_number", "website", "birthdate", "zoneinfo"}

// Done is what was done just before a page is shown. A page says nothing of a word that it does not know.
type Done string

// What a page of the account can say to have been done.
const (
	DoneSaved    Done = "saved"
	DonePassword Done = "password"
	DoneNewKept  Done = "password-kept" // the password is changed, and the other sessions go on
	DoneEnded    Done = "ended"
	DoneOthers   Done = "others"
	DoneRemoved  Done = "removed"

	DoneAddress   Done = "address"   // the address is changed
	DoneWithdrawn Done = "withdrawn" // it is not, after all
)

var dones = append([]Done{
	DoneSaved, DonePassword, DoneNewKept, DoneEnded, DoneOthers, DoneRemoved, DoneAddress, DoneWithdrawn,
	DoneRenamed, DoneUntrusted,
}, factorDones...)

// AccountPage is a page of the account; which of the rest it shows depends on Kind.
type AccountPage struct {
	Common
	Kind     AccountKind
	User     string            // email address
	Verified bool              // the address is
	Values   map[string]string // of the form, and of what the first page shows; as stored or as typed
	Problems []Problem
	Done     Done
	ByMail   bool // there is mail: the address can be confirmed, and a new one has to be

	SecondFactor bool            // was proved in this session, so that no form asks for the password as a proof
	Factors      *AccountFactors // of the pages about second factors
	OthersCSRF   string          // of the form that ends the other sessions; empty: CSRF

	MinLength int            // of a new password
	Zone      *time.Location // in which times are shown; nil: UTC
	Sessions  []AccountSession
	Apps      []AccountApp
	Events    []AccountEvent
	More      bool // there are more events than are shown
}

// AccountSession is a browser or an app that is signed in.
type AccountSession struct {
	ID                string
	App               string // empty: a browser
	Current           bool
	UserAgent         string
	Address           string
	SignedIn, LastUse time.Time
}

// AccountApp is what the user allowed an app.
type AccountApp struct {
	ClientID, Name string
	Host           string // of an app that came by itself; empty: it did not
	StartURI       string // where the app begins a sign-in; empty: it says nowhere
	Scopes         []string
	Claims         []string // those of Scopes that stand for claims of the operator's own about the user
	Resources      []string
	Since          time.Time
}

// AccountEvent is an entry of the audit log about the account.
type AccountEvent struct {
	Name      string
	At        time.Time
	ByAdmin   bool
	App       string
	Address   string
	UserAgent string
	Fields    []string // that changed
}

// accountView is what the templates of the account see.
type accountView struct {
	Links    []accountLink
	Verified bool
	Values   []accountValue
	Done     string // name of a text
	Offer    bool   // to end the other sessions
	Path     string // of the page
	Back     accountLink

	SecondFactor bool
	Factors      *factorsView
	OthersCSRF   string

	Sessions []accountSession
	Others   bool // there is a session beside this one
	Apps     []accountApp
	Events   []accountEvent
	More     bool
}

type accountLink struct{ ID, Path, Text string }

type accountValue struct{ Label, Value string }

// moment is a time for people and for programs.
type moment struct{ Text, Machine string }

type accountSession struct {
	ID, App, Address  string
	Current           bool
	Device            device.Device
	SignedIn, LastUse moment
}

type accountApp struct {
	ClientID, Name string
	Host           string // shown with the mark of what is not verified; empty: neither is
	Start          string
	Scopes         []scope
	Resources      []string
	Since          moment
}

type accountEvent struct {
	Text, Name   string // name of a text, of the event
	At           moment
	ByAdmin      bool
	App, Address string
	Device       device.Device
	Fields       []changed
}

// changed is a field of the account that changed: the name of its text, or its name in the API.
type changed struct{ Text, Name string }

// shownValues are what the first page shows of an account.
var shownValues = []accountValue{{"field.email", "email"}, {"field.username", "username"}, {"field.full_name", "name"}}

// Account makes a page of the account.
func (p *Pages) Account(d AccountPage) (Page, error) {
	if d.Kind != AccountDeleted && !slices.Contains(AccountKinds, d.Kind) {
		return Page{}, errors.New("page account: there is no such page")
	}
	v := p.common(d.Common, string(d.Kind))
	v.User = clean(d.User, maxUser)
	a := &accountView{Verified: d.Verified, More: d.More}
	v.Account = a
	a.Path, a.SecondFactor, a.OthersCSRF = d.Kind.Path(), d.SecondFactor, d.OthersCSRF
	if a.OthersCSRF == "" {
		a.OthersCSRF = d.CSRF
	}
	back := d.Kind.parent()
	a.Back = accountLink{ID: back.id(), Path: back.Path()}
	if slices.Contains(dones, d.Done) && len(d.Problems) == 0 {
		a.Done, a.Offer = "done."+strings.ReplaceAll(string(d.Done), "-", "_"), d.Done == DoneNewKept || slices.Contains(factorDones, d.Done)
	}
	if d.Kind == AccountDeleted {
		p.choice(v, "login")
		return p.render(v, policy{forms: nowhere})
	}
	if d.Factors == nil || len(d.Factors.NewCodes) == 0 { // another page would not have the codes
		p.choice(v, d.Kind.Path())
	}
	if d.ByMail && !d.Verified {
		a.Links = append(a.Links, accountLink{"to-verify", "verify", "title.verify"})
	}
	for _, k := range AccountKinds[1:] {
		if k.parent() == AccountHome {
			a.Links = append(a.Links, accountLink{k.id(), k.Path(), "title." + string(k)})
		}
	}
	for _, shown := range shownValues {
		if value := clean(d.Values[shown.Value], maxUser); value != "" {
			a.Values = append(a.Values, accountValue{shown.Label, value})
		}
	}
	zone := d.Zone
	if zone == nil {
		zone = time.UTC
	}
	a.fill(v.Language, d, zone)
	var err error
	if a.Factors, err = factors(v.Language, d.Factors, zone); err != nil {
		return Page{}, err
	}
	v.Fields = accountFields(d)
	v.settle(d.Problems)
	for n := range v.Fields {
		f := &v.Fields[n]
		if len(d.Problems) == 0 {
			f.Autofocus = false // people came to look at the page, and not to type
		}
		f.Required = f.Required || f.Type == "password" && d.Kind != AccountAddress
	}
	if d.Kind == AccountPasskeys && a.Factors.Stage == StageReady {
		return p.render(v, p.withPasskeys(v, d.Common))
	}
	return p.render(v, p.easier(v, d.Common))
}

// accountFields are the inputs of a page of the account.
func accountFields(d AccountPage) (fields []field) {
	current := field{Name: "current_password", Label: "field.current_password", Type: "password", Autocomplete: "current-password", Hint: "hint.prove"}
	switch d.Kind {
	case AccountProfile:
		for _, f := range []field{
			{Name: "name", Label: "field.full_name", Subject: "full_name", Autocomplete: "name"},
			{Name: "given_name", Label: "field.given_name", Autocomplete: "given-name"},
			{Name: "family_name", Label: "field.family_name", Autocomplete: "family-name"},
			{Name: "nickname", Label: "field.nickname", Autocomplete: "nickname"},
			{Name: "phone_number", Label: "field.phone_number", InputMode: "tel", Autocomplete: "tel", Hint: "hint.phone_number"},
			{Name: "website", Label: "field.website", InputMode: "url", Autocomplete: "url"},
			{Name: "birthdate", Label: "field.birthdate", Autocomplete: "bday", Hint: "hint.birthdate"},
			{Name: "zoneinfo", Label: "field.zoneinfo", Autocomplete: "off", Hint: "hint.zoneinfo"},
		} {
			f.Type, f.Value = "text", typed(d.Values[f.Name])
			fields = append(fields, f)
		}
	case AccountAddress:
		current.Hint = "hint.current_password"
		email := field{
			Name: "email", Label: "field.email", Subject: "new_email", Type: "text", InputMode: "email", Autocomplete: "email",
			Value: typed(d.Values["email"]), Required: true,
		}
		if d.ByMail {
			email.Hint = "hint.change_email"
		}
		username := field{
			Name: "username", Label: "field.username", Type: "text", Autocomplete: "username",
			Value: typed(d.Values["username"]), Hint: "hint.username",
		}
		fields = []field{email, username}
		if !d.SecondFactor {
			fields = append(fields, current)
		}
	case AccountPassword:
		current.Hint = ""
		fields = []field{current, {
			Name: "new_password", Label: "field.new_password", Subject: "password", Type: "password", Autocomplete: "new-password",
			MinLength: d.MinLength, Hint: "hint.password",
		}}
	case AccountData, AccountDelete:
		if !d.SecondFactor {
			fields = []field{current}
		}
	case AccountSecurity, AccountPasskeys, AccountAuthenticator, AccountCodes, AccountTrusted:
		fields = factorFields(d, current)
	}
	return fields
}

// fill puts the lists of a page into the view.
func (a *accountView) fill(l *languages.Language, d AccountPage, zone *time.Location) {
	for _, s := range d.Sessions {
		a.Others = a.Others || !s.Current
		a.Sessions = append(a.Sessions, accountSession{
			ID: s.ID, App: clean(s.App, maxName), Current: s.Current,
			Device: device.Of(s.UserAgent), Address: clean(s.Address, maxLine),
			SignedIn: momentOf(s.SignedIn, zone), LastUse: momentOf(s.LastUse, zone),
		})
	}
	for _, app := range d.Apps {
		shown := accountApp{ClientID: app.ClientID, Name: clean(app.Name, maxName), Host: cleanHost(app.Host), Start: webLink(app.StartURI), Scopes: scopesOf(l, app.Scopes, app.Claims), Since: momentOf(app.Since, zone)}
		if shown.Name == "" {
			shown.Name = l.Text("pages.app.unnamed")
		}
		for _, r := range app.Resources {
			shown.Resources = append(shown.Resources, clean(r, maxLine))
		}
		a.Apps = append(a.Apps, shown)
	}
	for _, e := range d.Events {
		shown := accountEvent{
			Text: "event." + e.Name, Name: clean(e.Name, maxLine), At: momentOf(e.At, zone), ByAdmin: e.ByAdmin,
			App: clean(e.App, maxName), Address: clean(e.Address, maxLine), Device: device.Of(e.UserAgent),
		}
		if l.Text("pages."+shown.Text) == "" || e.Name == "other" {
			shown.Text = "event.other"
		}
		for _, f := range e.Fields {
			shown.Fields = append(shown.Fields, changedField(f))
		}
		a.Events = append(a.Events, shown)
	}
}

// changedField is a field as the forms of the account call it, if one of them has it.
func changedField(name string) changed {
	switch {
	case name == "name":
		return changed{Text: "field.full_name"}
	case name == "preferred_username":
		return changed{Text: "field.username"}
	case name == "email" || slices.Contains(ProfileFields, name):
		return changed{Text: "field." + name}
	}
	return changed{Name: clean(name, maxLine)}
}

// momentOf writes a time so that it is read alike in every language.
func momentOf(at time.Time, zone *time.Location) moment {
	return moment{at.In(zone).Format("2006-01-02 15:04 MST"), at.UTC().Format(time.RFC3339)}
}
