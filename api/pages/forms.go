package pages

import (
	"crypto/hmac"
	"encoding/base64"
	"net/http"
	"strconv"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
)

// formToken is what a form has to bring back: proof that we showed it, in this browser and for this request. subject
// binds it further, to whoever was asked.
func (h *Handlers) formToken(browser, form, id, subject string) (string, error) {
	mac, err := h.Issuer.FormMAC("form", browser, form, id, subject)
	return base64.RawURLEncoding.EncodeToString(mac), err
}

// checkForm refuses what was not sent from our own page.
func (h *Handlers) checkForm(browser, form, id, subject, sent string) error {
	want, err := h.formToken(browser, form, id, subject)
	switch {
	case err != nil:
		return err
	case browser == "", !hmac.Equal([]byte(want), []byte(sent)):
		return problem.New(problem.CSRF, "")
	}
	return nil
}

// formProblems is what a page shows beside its fields; ok is false for a failure that is no matter of the form.
func formProblems(p *problem.Problem) (list []web.Problem, ok bool) {
	switch p.Code {
	case problem.ValidationError, problem.UserAlreadyExists:
		for _, f := range p.Errors {
			list = append(list, web.Problem{Field: f.Field, Code: f.Code})
		}
		return list, true
	case problem.InvalidCredentials, problem.AccountDisabled, problem.RateLimited, problem.Overloaded:
		seconds, _ := strconv.Atoi(p.Retry)
		return []web.Problem{{Code: string(p.Code), Seconds: seconds}}, true
	}
	return nil, false
}

// retryAfter says in a header what a page says in words.
func retryAfter(w http.ResponseWriter, p *problem.Problem) {
	if retry := p.RetryAfter(); retry != "" {
		w.Header()["Retry-After"] = []string{retry}
	}
}
