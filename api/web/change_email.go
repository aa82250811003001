package web

// ChangePage confirms a new email address.
type ChangePage struct {
	Common
	User     string // the present address of the account that is signed in; empty: none is
	AskCode  bool   // of the message; its link was not followed
	Code     string
	Problems []Problem
}

// UndoPage asks for a new password, with which the address from before a change is restored, or a new
// second factor removed.
type UndoPage struct {
	Common
	Factor    bool        // it is about a second factor
	Second    *SecondStep // nil: none is needed
	MinLength int
	Problems  []Problem
}

func (p *Pages) Change(d ChangePage) (Page, error) {
	v := p.common(d.Common, "change")
	v.User = clean(d.User, maxUser)
	if v.User == "" { // the person comes back by the link of the message
		v.Request, v.CSRF = "", ""
		p.choice(v, "login")
		return p.render(v, policy{forms: nowhere})
	}
	p.choice(v, "change")
	v.askCode(d.AskCode, d.Code)
	v.settle(d.Problems)
	v.readFirst(d.AskCode, d.Problems)
	return p.render(v, p.easier(v, d.Common))
}

func (p *Pages) Undo(d UndoPage) (Page, error) {
	v := p.common(d.Common, "undo")
	here := "undo"
	if v.Factor = d.Factor; d.Factor {
		here, v.Title = "factor-undo", "title.factor_undo"
	}
	p.choice(v, here)
	v.Fields = []field{newPasswordField(d.MinLength)}
	v.askSecond(d.Second)
	v.settle(d.Problems)
	v.readFirst(true, d.Problems)
	return p.render(v, p.withSecond(v, d.Second, d.Common))
}
