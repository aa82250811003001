package web

// AskPage asks for the address that a message is to go to.
type AskPage struct {
	Common
	Email    string // as typed
	Problems []Problem
}

// ResetPage asks for a new password.
type ResetPage struct {
	Common
	AskCode   bool // of the message; its link was not followed
	First     bool // there was no password before
	Code      string
	MinLength int
	Problems  []Problem
}

// VerifyPage asks to confirm an address.
type VerifyPage struct {
	Common
	AskCode bool
	// Why: signed_up: of an account that is to be made; login: before signing in; elsewhere: what it is
	// about was not begun in this browser; empty: it was asked for.
	Why         string
	Code        string
	NewPassword bool // is needed
	MinLength   int
	Problems    []Problem
}

// DonePage says that it is done, and leads on to the login page.
type DonePage struct {
	Common
	Done string // reset, verify
}

func codeField(code string) field {
	return field{Name: "code", Label: "field.code", Type: "text", InputMode: "numeric", Autocomplete: "one-time-code", Value: typed(code), Required: true, Hint: "hint.code"}
}

func newPasswordField(least int) field {
	return field{Name: "new_password", Label: "field.new_password", Subject: "password", Type: "password", Autocomplete: "new-password", Required: true,
		MinLength: least, Hint: "hint.password"}
}

func (p *Pages) ask(d AskPage, name string) (Page, error) {
	v := p.common(d.Common, "ask")
	p.choice(v, name)
	v.Title, v.Page = "title."+name, name
	v.Fields = []field{
		{Name: "email", Label: "field.email", Type: "text", InputMode: "email", Autocomplete: "username", Value: typed(d.Email), Required: true},
	}
	v.settle(d.Problems)
	return p.render(v, p.easier(v, d.Common))
}

// Forgot asks for the address of an account whose password is forgotten.
func (p *Pages) Forgot(d AskPage) (Page, error) { return p.ask(d, "forgot") }

// AskVerification asks for an address that is to be confirmed.
func (p *Pages) AskVerification(d AskPage) (Page, error) { return p.ask(d, "verify") }

func (p *Pages) Reset(d ResetPage) (Page, error) {
	v := p.common(d.Common, "reset")
	p.choice(v, "reset")
	if v.Sent = d.AskCode; d.AskCode {
		v.Fields = append(v.Fields, codeField(d.Code))
	}
	v.First = d.First
	v.Fields = append(v.Fields, newPasswordField(d.MinLength))
	v.settle(d.Problems)
	return p.render(v, p.easier(v, d.Common))
}

func (p *Pages) Verify(d VerifyPage) (Page, error) {
	v := p.common(d.Common, "verify")
	p.choice(v, "verify")
	if v.Sent = d.AskCode; d.AskCode {
		v.Fields = append(v.Fields, codeField(d.Code))
	}
	v.Why = d.Why
	if v.NewPassword = d.NewPassword; d.NewPassword {
		v.Fields = append(v.Fields, newPasswordField(d.MinLength))
	}
	v.settle(d.Problems)
	return p.render(v, p.easier(v, d.Common))
}

func (p *Pages) Done(d DonePage) (Page, error) {
	v := p.common(d.Common, "done")
	p.choice(v, "login")
	v.Title, v.Page = "title."+d.Done+"_done", d.Done
	return p.render(v, policy{forms: nowhere})
}
