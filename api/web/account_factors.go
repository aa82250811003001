package web

import (
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/device"
	"github.com/signet-id/signet/internal/languages"
	"github.com/signet-id/signet/internal/qr"
)

// The pages about second factors.
const (
	AccountSecurity      AccountKind = "account_security"
	AccountPasskeys      AccountKind = "account_passkeys"
	AccountAuthenticator AccountKind = "account_authenticator"
	AccountCodes         AccountKind = "account_codes"
	AccountTrusted       AccountKind = "account_trusted"
)

// FactorKinds lists the pages about second factors: the first one, then the pages that it links to.
var FactorKinds = []AccountKind{AccountSecurity, AccountPasskeys, AccountAuthenticator, AccountCodes, AccountTrusted}

// What the pages about second factors can say to have been done.
const (
	DoneApp        Done = "app"
	DoneAppRemoved Done = "app-removed"
	DonePasskey    Done = "passkey"
	DoneRenamed    Done = "passkey-renamed"
	DoneUnkeyed    Done = "passkey-removed"
	DoneCodes      Done = "codes"
	DoneUntrusted  Done = "untrusted"
)

// factorDones are the changes of second factors, after which a page offers to end the other sessions.
var factorDones = []Done{DoneApp, DoneAppRemoved, DonePasskey, DoneUnkeyed, DoneCodes}

// FactorStage says how far a setup has come.
type FactorStage string

// The stages of a setup.
const (
	StageStart FactorStage = ""     // what there is; the proof, where the page has to ask for it
	StageMail  FactorStage = "mail" // the code from the mailbox
	StageReady FactorStage = "ready"
)

// AccountFactors is what the pages about second factors show.
type AccountFactors struct {
	Refused    string // why no second factor can be set up: factors_off, email_not_verified; empty: one can
	NoPasskeys bool   // the issuer has none
	NoTrust    bool   // no browser can be trusted
	Needed     bool   // the policy wants a second factor, and there is none
	On         bool   // there is one

	App      *AccountApplication // nil: none
	Passkeys []AccountPasskey
	Codes    int // unused recovery codes
	Trusted  []AccountBrowser

	Stage FactorStage
	Proof string // of the steps before, sealed; empty: none is needed

	Secret, URI string // of an authenticator app that is being set up
	Creation    string // PublicKeyCredentialCreationOptionsJSON of a passkey that is being made
	Handle      string // of its challenge

	NewCodes []string // recovery codes, shown this once
	Download string   // the same, sealed for the form that downloads them
}

// AccountApplication is an authenticator app.
type AccountApplication struct{ Since, LastUse time.Time }

// AccountPasskey is a passkey; LastUse is zero before its first use.
type AccountPasskey struct {
	ID, Name       string
	Synced         bool // it is not bound to one device
	Since, LastUse time.Time
}

// AccountBrowser is a browser that is trusted.
type AccountBrowser struct {
	ID                   string
	Current              bool
	UserAgent, Address   string
	Since, LastUse, Ends time.Time
}

// FewCodes is how many recovery codes are so few that the pages warn.
const FewCodes = 3

// factorsView is what the templates see.
type factorsView struct {
	Refused             string
	NoPasskeys, NoTrust bool
	Needed, On          bool
	App                 *applicationView
	Passkeys            []passkeyView
	Count               string // of the passkeys
	Codes               string // how many
	NoCodes, FewCodes   bool
	Trusted             []browserView

	Stage    FactorStage
	Proof    string
	QR       template.HTML
	Secret   string
	URI      template.URL
	Creation string
	Handle   string
	NewCodes []string
	Download string
}

type applicationView struct{ Since, LastUse *moment }

type passkeyView struct {
	ID, Name       string // Name: empty: it has none
	Synced         bool
	Since, LastUse *moment
}

type browserView struct {
	ID, Address          string
	Current              bool
	Device               device.Device
	Since, LastUse, Ends moment
}

// momentOrNone is nil for a time that never was.
func momentOrNone(at time.Time, zone *time.Location) *moment {
	if at.IsZero() {
		return nil
	}
	m := momentOf(at, zone)
	return &m
}

// factors puts what d has about second factors into a view.
func factors(l *languages.Language, d *AccountFactors, zone *time.Location) (*factorsView, error) {
	if d == nil {
		return &factorsView{}, nil
	}
	f := &factorsView{
		Refused: d.Refused, NoPasskeys: d.NoPasskeys, NoTrust: d.NoTrust, Needed: d.Needed, On: d.On,
		Count: strconv.Itoa(len(d.Passkeys)),
		Codes: strconv.Itoa(d.Codes), NoCodes: d.Codes == 0, FewCodes: d.Codes <= FewCodes,
		Stage: d.Stage, Proof: d.Proof, Secret: d.Secret, Creation: d.Creation, Handle: d.Handle,
		NewCodes: d.NewCodes, Download: d.Download,
	}
	if d.App != nil {
		f.App = &applicationView{momentOrNone(d.App.Since, zone), momentOrNone(d.App.LastUse, zone)}
	}
	for _, k := range d.Passkeys {
		f.Passkeys = append(f.Passkeys, passkeyView{
			ID: k.ID, Name: clean(k.Name, maxName), Synced: k.Synced,
			Since: momentOrNone(k.Since, zone), LastUse: momentOrNone(k.LastUse, zone),
		})
	}
	for _, b := range d.Trusted {
		f.Trusted = append(f.Trusted, browserView{
			ID: b.ID, Current: b.Current, Device: device.Of(b.UserAgent), Address: clean(b.Address, maxLine),
			Since: momentOf(b.Since, zone), LastUse: momentOf(b.LastUse, zone), Ends: momentOf(b.Ends, zone),
		})
	}
	if d.URI != "" {
		svg, err := qr.SVG(d.URI, l.Text("pages.app.qr"))
		if err != nil {
			return nil, err
		}
		f.QR = template.HTML(svg) //nolint:gosec // internal/qr draws it, and escapes the one text in it
		if u, err := url.Parse(d.URI); err == nil && u.Scheme == "otpauth" {
			f.URI = template.URL(u.String()) //nolint:gosec // its scheme is otpauth, and internal/totp made it
		}
	}
	return f, nil
}

// factorFields are the inputs of a page about second factors: of the stage that its setup has reached.
func factorFields(d AccountPage, current field) []field {
	if d.Factors == nil || d.Factors.Refused != "" || len(d.Factors.NewCodes) > 0 {
		return nil
	}
	switch stage := d.Factors.Stage; {
	case stage == StageMail:
		return []field{{
			Name: "mail_code", Label: "field.code", Subject: "code", Type: "text", InputMode: "numeric",
			Autocomplete: "one-time-code", Required: true, Hint: "hint.code",
		}}
	case stage == StageReady && d.Kind == AccountAuthenticator:
		return []field{{
			Name: "code", Label: "field.app_code", Subject: "new_app_code", Type: "text", InputMode: "numeric",
			Autocomplete: "one-time-code", Required: true, Hint: "hint.app_code",
		}}
	case stage == StageReady && d.Kind == AccountPasskeys:
		return []field{{
			Name: "name", Label: "field.passkey_name", Subject: "passkey_name", Type: "text", Autocomplete: "off",
			Value: typed(d.Values["name"]), Hint: "hint.passkey_name",
		}}
	case !d.Factors.On && (d.Kind == AccountAuthenticator || d.Kind == AccountPasskeys && !d.Factors.NoPasskeys):
		current.Hint = "hint.prove"
		return []field{current}
	}
	return nil
}

// isFactors reports whether k is a page about second factors.
func (k AccountKind) isFactors() bool {
	for _, f := range FactorKinds {
		if f == k {
			return true
		}
	}
	return false
}

// parent is the page that k leads back to.
func (k AccountKind) parent() AccountKind {
	if k.isFactors() && k != AccountSecurity {
		return AccountSecurity
	}
	return AccountHome
}

// id is the end of the id of the link that leads to k.
func (k AccountKind) id() string { return "to-" + strings.TrimPrefix(k.Path(), "account/") }
