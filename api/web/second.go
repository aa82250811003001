package web

import (
	"net/url"
	"strconv"
	"time"
)

// Ways to take the second step of a login, as userstore names its methods.
const (
	byApp      = "totp"
	byPasskey  = "passkey"
	byRecovery = "recovery_code"
)

// SecondPage asks for a second factor: after the password, or of a user who is logged in.
type SecondPage struct {
	Common
	Client   *Client       // that sent the user here; nil: none
	Login    string        // sealed handle of the login that waits; empty: the user is logged in
	Next     string        // page of the account that this leads to, by its path; empty: none
	By       string        // the way that the page asks for; empty: there is none
	Others   []string      // ways that can be taken in its place
	Trust    time.Duration // for which the browser can be trusted; 0: there is no choice
	Trusted  bool          // chosen before, where the form is shown again
	Problems []Problem
}

// CodesPage says after a login how few recovery codes are left. Common.Request is what it goes on with.
type CodesPage struct {
	Common
	Left int
	Next string // page of the account that it leads to where there is no request, by its path
}

// secondView is what the page of a second step sees beside others.
type secondView struct {
	By, Login, Next string
	Lead            string // name of a text
	Others          []otherWay
	Trust           string // the time in words; empty: there is no choice
	Trusted         bool
}

// otherWay leads to the same page for another way: by a link, or by a form if the handles are too long for an address.
type otherWay struct {
	ID, By string
	Href   string
}

// secondWays are the ids of what leads to another way.
var secondWays = map[string]string{
	byApp: "second-use-app", byPasskey: "second-use-passkey", byRecovery: "second-recovery",
}

// Second asks for a second factor.
func (p *Pages) Second(d SecondPage) (Page, error) {
	v := p.common(d.Common, "second")
	p.choice(v, "login/second")
	v.showWayBack(d.Client)
	s := &secondView{By: d.By, Login: d.Login, Next: d.Next, Lead: "second.none", Trusted: d.Trusted}
	v.Second = s
	if d.Trust > 0 && d.By != "" {
		s.Trust = span(v.Language, d.Trust)
	}
	switch d.By {
	case byApp:
		s.Lead = "second.app"
		v.Fields = []field{{
			Name: "code", ID: "second-code", Label: "field.app_code", Type: "text", InputMode: "numeric",
			Autocomplete: "one-time-code", Required: true,
		}}
	case byRecovery:
		s.Lead = "second.recovery"
		v.Fields = []field{{
			Name: "recovery_code", ID: "second-recovery-code", Label: "field.recovery_code", Type: "text", InputMode: "text",
			Autocomplete: "off", Required: true, Hint: "hint.recovery_code",
		}}
	case byPasskey:
		s.Lead = "second.passkey"
	}
	for _, by := range d.Others {
		id, ok := secondWays[by]
		if !ok {
			continue
		}
		o := otherWay{ID: id, By: by}
		if FitsAddress(d.Request + d.Login) {
			o.Href = p.options.Base + "/login/second?" + secondQuery(d, by).Encode()
		}
		s.Others = append(s.Others, o)
	}
	v.settle(d.Problems)
	if d.By == byPasskey {
		return p.render(v, p.withPasskeys(v, d.Common))
	}
	return p.render(v, p.easier(v, d.Common))
}

func secondQuery(d SecondPage, by string) url.Values {
	q := url.Values{"by": {by}}
	for name, value := range map[string]string{"request": d.Request, "login": d.Login, "next": d.Next} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// FewCodes says how few recovery codes are left.
func (p *Pages) FewCodes(d CodesPage) (Page, error) {
	v := p.common(d.Common, "codes")
	p.choice(v, "login/codes")
	v.Count, v.Next = strconv.Itoa(d.Left), d.Next
	return p.render(v, policy{forms: formsOf(d.Common)})
}
