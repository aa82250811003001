package api

import (
	"net/http"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/issuer"
)

// languageCookie is the language that a person chose at the foot of a page. It stands for nobody, and no
// address carries it.
const languageCookie = "language"

// languageForm takes a choice of language and leads back to the page that it was made on. The languages that the app asked for
// go before the cookie; here the person has overruled them, so the handle of this request has the person's.
func (s *Server) languageForm(w http.ResponseWriter, r *http.Request) error {
	f, err := formFields(w, r, "language", "page", "request")
	if err != nil {
		return err
	}
	chosen, handle := f.Get("language"), f.Get("request")
	if !s.Pages.Speaks(web.Locale(chosen)) {
		return newProblem(invalidRequest, "The form names a language that the pages do not speak.")
	}
	browser := s.cookie(r, browserCookie)
	switch page := f.Get("page"); page {
	case "login", "signup", "consent":
		var p issuer.Pending
		if handle, err = s.inLanguage(handle, authorizationHandle, browser, &p, &p.UILocales, chosen); err != nil {
			return err
		}
	case "logout":
		var p issuer.PendingLogout
		if handle, err = s.inLanguage(handle, logoutHandle, browser, &p, &p.UILocales, chosen); err != nil {
			return err
		}
	default:
		return newProblem(invalidRequest, "The form names a page that there is not.")
	}
	s.setCookie(w, languageCookie, chosen, browserCookieAge)
	return see(w, s.pagePath("/"+f.Get("page"), handle))
}

// inLanguage is the handle with the language in the place of those that its request asked for; wanted points into request.
func (s *Server) inLanguage(handle, kind, browser string, request any, wanted *[]string, language string) (string, error) {
	if handle == "" {
		return "", nil
	}
	if err := s.open(handle, kind, browser, request); err != nil {
		return "", err
	}
	*wanted = []string{language}
	return s.seal(kind, browser, request)
}
