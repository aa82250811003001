package apitest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/signet-id/signet/userstore"
)

// Trusting lets people trust a browser for 30 days.
func Trusting(r *Replica) { r.Issuer.TrustedBrowser = 720 * time.Hour }

// Inside returns what the element of a page with an id holds.
func Inside(s *Server, p *Page, id string) string {
	s.T.Helper()
	m := regexp.MustCompile(`id="` + id + `"[^>]*>([^<]*)<`).FindSubmatch(p.Body)
	if m == nil {
		s.T.Fatalf("%s has no #%s: %s", p.Path, id, p.Text())
	}
	return string(m[1])
}

var shownCode = regexp.MustCompile(`<code>([0-9a-z-]{17})</code>`)

// CodesOn are the recovery codes on a page.
func CodesOn(p *Page) (codes []string) {
	for _, m := range shownCode.FindAllSubmatch(p.Body, -1) {
		codes = append(codes, string(m[1]))
	}
	return codes
}

// Scan is the authenticator app that scans the picture of a page.
func Scan(s *Server, p *Page) *App {
	s.T.Helper()
	p.WantPage(200, "totp-confirm")
	return s.NewApp(Inside(s, p, "totp-secret"))
}

// FactorsOf returns the second factors of a user.
func FactorsOf(s *Server, u User) userstore.SecondFactors {
	s.T.Helper()
	have, err := s.DB.SecondFactors(s.T.Context(), u.ID)
	if err != nil {
		s.T.Fatal(err)
	}
	return have
}

// SameFactors fails the test if fn changes the second factors of a user.
func SameFactors(s *Server, u User, fn func()) {
	s.T.Helper()
	before := FactorsOf(s, u)
	fn()
	after := FactorsOf(s, u)
	before.Waiting, after.Waiting = nil, nil // a setup that has only begun
	if after.Version != before.Version || len(after.Passkeys) != len(before.Passkeys) ||
		after.RecoveryCodes != before.RecoveryCodes || (after.App == nil) != (before.App == nil) {
		s.T.Errorf("the second factors changed:\nbefore %+v\nafter %+v", before, after)
	}
}

// NewKeyAnswer are the fields with which the script sends the form of a page back.
type NewKeyAnswer struct{ Handle, Response string }

// MakePasskey does what the script of a page does with its form: it asks for options, and lets a
// device make a passkey.
func MakePasskey(s *Server, b *Browser, p *Page, optionsPath string, key *Passkey) NewKeyAnswer {
	s.T.Helper()
	q := p.Form("passkey-create", nil)
	q.Path = optionsPath
	q.Header = http.Header{"Accept": {"*/*"}}
	var got struct {
		Handle    string
		Options   json.RawMessage
		ExpiresIn int `json:"expires_in"`
	}
	res := b.Send(q).Want(200, "")
	res.JSON(&got)
	if got.ExpiresIn != 300 || strings.Contains(string(got.Options), `"rk"`) {
		s.T.Errorf("%+v", got)
	}
	return NewKeyAnswer{got.Handle, string(key.Create(got.Options))}
}

// Fields are those of the form, with a name for the passkey.
func (a NewKeyAnswer) Fields(name string) map[string]string {
	return map[string]string{"passkey": a.Handle, "response": a.Response, "name": name}
}
