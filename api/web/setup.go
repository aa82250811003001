package web

// SetupPage sets up a second factor during a login: the policy wants one. Common.Request and Login are
// the handles of the pending request and of the login.
type SetupPage struct {
	Common
	Client   *Client // that sent the user here; nil: none
	Login    string
	Next     string // page of the account that the login leads to, by its path; empty: the first
	By       string // that was chosen: totp, passkey; empty: not yet
	Mail     string // handle of the code that the mailbox got
	Name     string // of the passkey, as typed
	Factors  AccountFactors
	Problems []Problem
	// Finished: the second factor is set up, and the user logged in. The page shows the recovery codes.
	// If the login failed after that, there is no Factors.Download, and Problems says so.
	Finished     bool
	DownloadCSRF string // of the form that downloads the codes, which is that of the account
}

// setupView is what the template of a setup sees beside others.
type setupView struct {
	By, Mail     string
	Finished     bool
	Factors      *factorsView
	DownloadCSRF string
	Continue     bool // there is a request to go on with
}

// Setup makes the page that sets up a second factor during a login.
func (p *Pages) Setup(d SetupPage) (Page, error) {
	v := p.common(d.Common, "setup")
	if !d.Finished { // the page of another language would not have the codes
		p.choice(v, "login/setup")
	}
	v.showWayBack(d.Client)
	v.Second = &secondView{Login: d.Login, Next: d.Next}
	v.Next = d.Next
	f, err := factors(v.Language, &d.Factors, nil)
	if err != nil {
		return Page{}, err
	}
	v.Setup = &setupView{
		By: d.By, Mail: d.Mail, Finished: d.Finished, Factors: f, DownloadCSRF: d.DownloadCSRF, Continue: d.Request != "",
	}
	kind := AccountAuthenticator
	if d.By == byPasskey {
		kind = AccountPasskeys
	}
	if !d.Finished && d.Factors.Stage != StageStart {
		v.Fields = factorFields(AccountPage{
			Kind: kind, Factors: &d.Factors, Values: map[string]string{"name": d.Name},
		}, field{})
	}
	v.settle(d.Problems)
	v.readFirst(true, d.Problems)
	if !d.Finished && d.By == byPasskey && d.Factors.Stage == StageReady {
		return p.render(v, p.withPasskeys(v, d.Common))
	}
	return p.render(v, p.easier(v, d.Common))
}
