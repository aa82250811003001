package web

import "strings"

// AskPage asks for the address that a message is to go to.
type AskPage struct {
	Common
	Email    string // as typed
	Problems []Problem
}

// SecondStep is the second factor that a page about a message asks for beside the new password.
type SecondStep struct {
	By     string   // the way that the page asks for; empty: there is none
	Others []string // ways that can be taken in its place
}

// ResetPage asks for a new password.
type ResetPage struct {
	Common
	Second    *SecondStep // nil: none is needed
	AskCode   bool        // the link of the message was not followed
	First     bool        // there was no password before
	Pending   string      // the handle of the request that another message would go on with; empty: none
	Code      string
	MinLength int
	Problems  []Problem
}

// VerifyPage asks to confirm an address.
type VerifyPage struct {
	Common
	Second  *SecondStep // beside NewPassword; nil: none is needed
	AskCode bool
	// Why: signed_up: of an account that is to be made; login: before signing in; elsewhere: what it is
	// about was not begun in this browser; empty: it was asked for.
	Why         string
	Code        string
	NewPassword bool // is needed
	MinLength   int
	Problems    []Problem
}

// DonePage says that the operation is done, and leads to the login page.
type DonePage struct {
	Common
	Done     string // reset, verify, undo, factor-undo
	SignedIn bool
}

// askCode asks for the code of a message, if one was asked for.
func (v *view) askCode(sent bool, code string) {
	if v.Sent = sent; !sent {
		return
	}
	v.Fields = append(v.Fields, field{
		Name: "code", Label: "field.code", Type: "text", InputMode: "numeric", Autocomplete: "one-time-code",
		Value: typed(code), Required: true, Hint: "hint.code",
	})
}

func newPasswordField(least int) field {
	return field{
		Name: "new_password", Label: "field.new_password", Subject: "password", Type: "password",
		Autocomplete: "new-password", Required: true, MinLength: least, Hint: "hint.password",
	}
}

func (p *Pages) ask(d AskPage, name string) (Page, error) {
	v := p.common(d.Common, "ask")
	p.choice(v, name)
	v.Title, v.Page = "title."+name, name
	v.Fields = []field{{
		Name: "email", Label: "field.email", Type: "text", InputMode: "email", Autocomplete: "username",
		Value: typed(d.Email), Required: true,
	}}
	v.settle(d.Problems)
	return p.render(v, p.easier(v, d.Common))
}

// Forgot asks for the address of the account whose password was forgotten.
func (p *Pages) Forgot(d AskPage) (Page, error) { return p.ask(d, "forgot") }

// AskVerification asks for the address to verify.
func (p *Pages) AskVerification(d AskPage) (Page, error) { return p.ask(d, "verify") }

// Reset asks for a new password.
func (p *Pages) Reset(d ResetPage) (Page, error) {
	v := p.common(d.Common, "reset")
	v.Pending = d.Pending
	p.choice(v, "reset")
	v.askCode(d.AskCode, d.Code)
	if v.First = d.First; d.First {
		v.Title = "title.invite"
	}
	v.Code = typed(d.Code)
	v.Fields = append(v.Fields, newPasswordField(d.MinLength))
	v.askSecond(d.Second)
	v.settle(d.Problems)
	v.readFirst(d.AskCode || d.Second != nil, d.Problems)
	return p.render(v, p.withSecond(v, d.Second, d.Common))
}

// askSecond asks for a second factor.
func (v *view) askSecond(s *SecondStep) {
	if s == nil {
		return
	}
	v.Second = &secondView{By: s.By, Lead: "second.none"}
	switch s.By {
	case byApp:
		v.Second.Lead = "second.app"
		v.Fields = append(v.Fields, field{
			Name: "app_code", ID: "second-code", Label: "field.app_code", Type: "text", InputMode: "numeric",
			Autocomplete: "one-time-code", Required: true,
		})
	case byRecovery:
		v.Second.Lead = "second.recovery"
		v.Fields = append(v.Fields, field{
			Name: "recovery_code", ID: "second-recovery-code", Label: "field.recovery_code", Type: "text", InputMode: "text",
			Autocomplete: "off", Required: true, Hint: "hint.recovery_code",
		})
	case byPasskey:
		v.Second.Lead = "second.passkey"
	}
	for _, by := range s.Others {
		if id, ok := secondWays[by]; ok {
			v.Second.Others = append(v.Second.Others, otherWay{ID: id, By: by})
		}
	}
}

func (p *Pages) withSecond(v *view, s *SecondStep, c Common) policy {
	if s != nil && s.By == byPasskey {
		return p.withPasskeys(v, c)
	}
	return p.easier(v, c)
}

// Verify asks to confirm an address.
func (p *Pages) Verify(d VerifyPage) (Page, error) {
	v := p.common(d.Common, "verify")
	p.choice(v, "verify")
	v.askCode(d.AskCode, d.Code)
	v.Why = d.Why
	if v.NewPassword = d.NewPassword; d.NewPassword {
		v.Fields = append(v.Fields, newPasswordField(d.MinLength))
	}
	v.Code = typed(d.Code)
	v.askSecond(d.Second)
	v.settle(d.Problems)
	v.readFirst(d.AskCode || d.NewPassword, d.Problems)
	return p.render(v, p.withSecond(v, d.Second, d.Common))
}

// readFirst leaves the focus at the top of a page that first says what has happened: in a small
// window the focus on a field scrolls that text out of sight.
func (v *view) readFirst(says bool, problems []Problem) {
	if !says || len(problems) > 0 {
		return
	}
	for n := range v.Fields {
		v.Fields[n].Autofocus = false
	}
}

// Done says that the operation is done.
func (p *Pages) Done(d DonePage) (Page, error) {
	v := p.common(d.Common, "done")
	p.choice(v, "login")
	v.Title, v.Page, v.SignedIn = "title."+strings.ReplaceAll(d.Done, "-", "_")+"_done", d.Done, d.SignedIn && d.Request == ""
	return p.render(v, policy{forms: nowhere})
}
