package pages

import (
	"crypto/hmac"
	"encoding/base64"
	"net/http"
	"strconv"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/refusal"
)

// form is one form as it was shown: what its token is bound to.
type form struct {
	browser string // the browser cookie
	name    string // of the page
	request string // the id of the pending request; empty: none
	subject string // the session of the user who is asked; empty: no user is logged in yet
}

// formToken is what a form has to bring back: proof that this server showed it, in this browser,
// for this request and to this user.
func (h *Handlers) formToken(f form) (string, error) {
	mac, err := h.Issuer.FormMAC("form", f.browser, f.name, f.request, f.subject)
	return base64.RawURLEncoding.EncodeToString(mac), err
}

// checkForm refuses a form whose token is not the one that it was shown with.
func (h *Handlers) checkForm(f form, token string) error {
	want, err := h.formToken(f)
	switch {
	case err != nil:
		return err
	case f.browser == "":
		return problem.New(problem.CookiesOff, "")
	case !hmac.Equal([]byte(want), []byte(token)):
		return problem.New(problem.CSRF, "")
	}
	return nil
}

// formProblems are the messages beside the fields of a form; ok is false for an error that an error
// page shows.
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

// refuseForm records the refusal of a form that is shown again. It sets Retry-After for programs; the
// page says the same in words.
func refuseForm(w http.ResponseWriter, r *http.Request, p *problem.Problem) {
	refusal.Because(r.Context(), string(p.Code), p.Detail)
	if retry := p.RetryAfter(); retry != "" {
		w.Header()["Retry-After"] = []string{retry}
	}
}

// formAgain records that a form was refused with err, and returns the status and the messages with
// which the form is shown again. beside has problems that this form shows and others do not. An error
// that no form shows is returned: an error page shows it.
func formAgain(
	w http.ResponseWriter, r *http.Request, err error, beside map[problem.Code]web.Problem,
) (status int, list []web.Problem, _ error) {
	p := problem.From(err)
	list, ok := formProblems(p)
	if own, has := beside[p.Code]; has {
		list, ok = []web.Problem{own}, true
	}
	if !ok {
		return 0, nil, p
	}
	refuseForm(w, r, p)
	return pageStatus(p.Kind()), list, nil
}

// refuseOutdated refuses a form that was shown to another session of this browser, such as before a
// sign-out in another tab. The page is shown again for the user who is logged in now. ok is false
// for any other error.
func refuseOutdated(w http.ResponseWriter, r *http.Request, err error) (list []web.Problem, ok bool) {
	p := problem.From(err)
	if p.Code != problem.CSRF {
		return nil, false
	}
	refuseForm(w, r, p)
	return []web.Problem{{Code: string(p.Code)}}, true
}

// refuseExpired refuses a form whose request had expired. The page shows the request begun again.
func refuseExpired(w http.ResponseWriter, r *http.Request) []web.Problem {
	p := problem.New(problem.RequestExpired, "")
	refuseForm(w, r, p)
	return []web.Problem{{Code: string(p.Code)}}
}
