package api

import (
	"crypto/hmac"
	"encoding/base64"
	"net/http"
	"strconv"

	"github.com/signet-id/signet/api/web"
)

// formToken is what a form has to bring back: proof that we showed it, in this browser and for this request. subject
// binds it further, to whoever was asked.
func (s *Server) formToken(browser, form, id, subject string) (string, error) {
	mac, err := s.Issuer.FormMAC("form", browser, form, id, subject)
	return base64.RawURLEncoding.EncodeToString(mac), err
}

// checkForm refuses what was not sent from our own page.
func (s *Server) checkForm(browser, form, id, subject, sent string) error {
	want, err := s.formToken(browser, form, id, subject)
	switch {
	case err != nil:
		return err
	case browser == "", !hmac.Equal([]byte(want), []byte(sent)):
		return newProblem(csrf, "")
	}
	return nil
}

// formProblems is what a page shows beside its fields; ok is false for a failure that is no matter of the form.
func formProblems(p *problem) (list []web.Problem, ok bool) {
	switch p.Code {
	case validationError, userAlreadyExists:
		for _, f := range p.Errors {
			list = append(list, web.Problem{Field: f.Field, Code: f.Code})
		}
		return list, true
	case invalidCredentials, accountDisabled, rateLimited, overloaded:
		seconds, _ := strconv.Atoi(p.retry)
		return []web.Problem{{Code: string(p.Code), Seconds: seconds}}, true
	}
	return nil, false
}

// retryAfter says in a header what a page says in words.
func retryAfter(w http.ResponseWriter, p *problem) {
	if retry := p.retry + problems[p.Code].retryAfter; retry != "" {
		w.Header()["Retry-After"] = []string{retry}
	}
}
