package demo

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/signet-id/signet/docs/examples/webapp/login"
	"github.com/signet-id/signet/keys"
)

//go:embed page.html style.css page.js icon.svg
var files embed.FS

// handler is the web app with its page and the operator's buttons.
func (t *tour) handler() http.Handler {
	mux := http.NewServeMux()
	t.app.Register(mux)
	mux.HandleFunc("GET /{$}", t.page)
	mux.HandleFunc("GET /style.css", t.file("text/css; charset=utf-8"))
	mux.HandleFunc("GET /icon.svg", t.file("image/svg+xml"))
	mux.HandleFunc("GET /page.js", t.file("text/javascript; charset=utf-8"))
	mux.Handle("POST /calls/start", t.button("calls", t.startCalls))
	mux.Handle("POST /calls/stop", t.button("calls", t.stopCalls))
	mux.Handle("POST /keys/rotate", t.button("rotate", t.rotate))
	mux.Handle("POST /keys/revoke", t.button("revoke-key", t.revokeKey))
	mux.Handle("POST /session/revoke", t.button("revoke-session", t.revokeSession))
	mux.Handle("POST /session/refresh", t.button("refresh", t.refresh))

	protected := http.NewCrossOriginProtection().Handler(mux)
	host := t.c.Page.Addr().String()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A site can give its own name the address 127.0.0.1 (DNS rebinding). Its pages would be of
		// the same origin as this one.
		if r.Host != host {
			http.Error(w, "The tour is at "+PageURL(t.c.Page), http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "+
			"img-src 'self'; form-action "+"'self' "+t.c.Issuer+"; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if r.Method == http.MethodPost && r.URL.Path == "/logout" {
			t.loggingOut(r)
		}
		protected.ServeHTTP(w, r)
	})
}

func (t *tour) file(kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		text, err := files.ReadFile(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			panic(err) // it is embedded
		}
		_, _ = w.Write(text) // the browser may be gone
	}
}

// loggingOut stops the calls before the app forgets the session.
func (t *tour) loggingOut(r *http.Request) {
	if http.NewCrossOriginProtection().Check(r) != nil || t.app.Session(r) == nil {
		return
	}
	t.stream.set(false)
	t.did("logout", act{})
	t.say("The app forgot the tokens, and sent the browser to the issuer to end the session there.")
}

// button returns the handler of a button: what it does needs a session, and then the page is shown
// at the button's step.
func (t *tour) button(step string, do func(context.Context, *login.Session) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := t.app.Session(r)
		if s == nil { // it has ended since the page was shown
			http.Redirect(w, r, "/#login", http.StatusSeeOther)
			return
		}
		t.follow(s)
		ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
		defer cancel()
		if err := do(ctx, s); errors.Is(err, login.ErrEnded) {
			t.stream.end()
		} else if err != nil {
			t.c.Log.Error("a step of the tour failed", "step", step, "error", err)
			t.show(w, r, http.StatusServiceUnavailable, "This step did not work: "+err.Error()+". Try again in a few seconds.")
			return
		}
		http.Redirect(w, r, "/#"+step, http.StatusSeeOther)
	})
}

func (t *tour) startCalls(context.Context, *login.Session) error {
	t.stream.looked()
	t.stream.set(true)
	t.did("calls", act{})
	t.say("The app calls the API five times a second.")
	return nil
}

func (t *tour) stopCalls(context.Context, *login.Session) error {
	t.stream.set(false)
	t.say("The app stopped calling the API.")
	return nil
}

// polled is how long a server may take to learn of a change that a command made, and a little more.
const polled = 1500 * time.Millisecond

func (t *tour) rotate(ctx context.Context, _ *login.Session) error {
	report, err := t.c.Operator.Rotate(ctx)
	if err != nil {
		return err
	}
	t.did("rotate", act{text: report.Message})
	if !report.Changed {
		t.say("Rotate again: nothing changed, the next keys sign as early as they may.")
		return nil
	}
	t.say("The operator rotated the keys.")
	t.stream.renewSoon(signs(report, time.Now()).Add(polled))
	return nil
}

// signs returns when the last of the keys that sign next does so; now, if they do already.
func signs(r keys.Report, now time.Time) time.Time {
	at := now
	for _, k := range r.Keys {
		if k.State == keys.Pending && k.ActivateAt.After(at) && k.ActivateAt.Before(now.Add(time.Minute)) {
			at = k.ActivateAt
		}
	}
	return at
}

func (t *tour) revokeKey(ctx context.Context, s *login.Session) error {
	token, err := s.AccessToken(ctx)
	if err != nil {
		return err
	}
	kid := kidOf(token)
	report, err := t.c.Operator.RevokeKey(ctx, kid)
	if err != nil {
		return err
	}
	t.did("revoke-key", act{text: report.Message, kid: kid})
	t.say("The operator revoked key %s, which had signed the access token. Its private half is wiped.", short(kid))
	return nil
}

func (t *tour) revokeSession(ctx context.Context, s *login.Session) error {
	token, err := s.AccessToken(ctx)
	if err != nil {
		return err
	}
	if err := t.c.Operator.RevokeSession(ctx, s.Subject(), sidOf(token)); err != nil {
		return err
	}
	t.did("revoke-session", act{})
	t.say("The operator revoked the session.")
	if !t.c.Settings.StatusLists {
		t.stream.renewSoon(time.Now()) // the app notices at its next refresh, for which nobody waits here
	}
	return nil
}

func (t *tour) refresh(ctx context.Context, s *login.Session) error {
	token, err := s.AccessToken(ctx)
	if err != nil {
		return err
	}
	fresh, err := s.Renew(ctx, token)
	if err != nil {
		return err
	}
	t.did("refresh", act{kid: kidOf(fresh)})
	t.say("The app refreshed its tokens. The refresh token has been replaced, too.")
	return nil
}
