//go:build interop

package pages

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/interop/browser"
)

// answer is a server of its own origin that answers everything with f.
func answer(t *testing.T, f http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(f)
	t.Cleanup(s.Close)
	return s
}

// Browsers hold every hop of a submitted form against form-action: the page's policy has to let the login through to the
// app, and to where the app goes on to.
func TestALoginReachesTheAppThatGoesOnElsewhere(t *testing.T) {
	pages, err := web.New(web.Options{Service: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	home := answer(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<p id=home>home") })
	callback := answer(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, home.URL, http.StatusFound) })
	op := answer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			http.Redirect(w, r, callback.URL+"/cb?code=c", http.StatusSeeOther)
			return
		}
		page, err := pages.Login(web.LoginPage{Common: web.Common{CSRF: "t", Onward: true}})
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Security-Policy", page.CSP)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page.Body)
	})
	tab := browser.Start(t, "--ignore-certificate-errors").Tab(t)
	tab.Open(op.URL)
	tab.Type("#email", "ada")
	tab.Type("#password", "correct horse battery staple")
	tab.Press("Enter")
	tab.Wait("document.querySelector('#home')")
}
