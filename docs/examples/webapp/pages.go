package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"html/template"
	"io"
	"net/http"

	"github.com/signet-id/signet/docs/examples/webapp/login"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// view is what the page shows.
type view struct {
	Name, Email string // of the person who is logged in
	LoggedIn    bool
	Answer      string // of the API
	Problem     string
}

// handler is the whole app: the page, the login and the call of the API.
func handler(app *login.App, api string) http.Handler {
	mux := http.NewServeMux()
	app.Register(mux)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		show(w, http.StatusOK, viewOf(app.Session(r)))
	})
	mux.Handle("POST /call", app.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := app.Session(r)
		v := viewOf(s)
		status := http.StatusOK
		switch answer, err := call(r, s, api); {
		case errors.Is(err, login.ErrEnded):
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		case err != nil:
			v.Problem, status = "The API cannot be reached at the moment.", http.StatusBadGateway
		default:
			v.Answer = answer
		}
		show(w, status, v)
	})))
	// Forms of other sites are refused by where browsers say that a request comes from.
	protected := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		// Without form-action: browsers hold it against redirects, and logging out leads to the provider.
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store") // the page is of one person
		protected.ServeHTTP(w, r)
	})
}

func viewOf(s *login.Session) (v view) {
	if s == nil {
		return v
	}
	v.LoggedIn = true
	var claims struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	if s.Claims(&claims) == nil {
		v.Name, v.Email = claims.Name, claims.Email
	}
	if v.Name == "" {
		v.Name = v.Email
	}
	if v.Name == "" {
		v.Name = s.Subject() // a provider need not say more in its ID token
	}
	return v
}

// call calls the API for the person of the session, and returns its answer.
func call(r *http.Request, s *login.Session, api string) (string, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, api, nil)
	if err != nil {
		return "", err
	}
	resp, err := s.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return "", err
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, body, "", "  ") == nil {
		body = pretty.Bytes()
	}
	return resp.Status + "\n" + string(body), nil
}

func show(w http.ResponseWriter, status int, v view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = page.Execute(w, v) // the browser may be gone
}
