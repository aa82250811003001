package testissuer

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/strictjson"
)

// maxControl limits the body of a control request; a token of 16 KiB fits in many times.
const maxControl = 256 << 10

// Handler returns the controls over HTTP, for tests in other languages. Every request needs the token
// as its bearer token (RFC 6750): other programs and web pages on this machine can reach the address,
// too. Errors are JSON with a stable code and one sentence.
//
//	GET  /         {"issuer", "now", "keys": [{"kid", "alg", "state"}]}
//	POST /clock    {"advance": "1h30m"}  the clock is moved, back by a negative duration
//	POST /mint     a Recipe              {"token"}
//	POST /rotate                         the published successors sign now
//	POST /revoke   {"kids": […]} | {"all": true} | {"session": sid} | {"user": sub}
//
// clock, rotate and revoke answer as GET / does. What clock and revoke ended is in the status lists by
// then, if the issuer has them.
func (c *Controls) Handler(token string, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, answer func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { reply(w, r, answer, log) })
	}
	handle("GET /{$}", func(*http.Request) (any, error) { return c.state() })
	handle("POST /clock", c.postClock)
	handle("POST /mint", c.postMint)
	handle("POST /rotate", c.postRotate)
	handle("POST /revoke", c.postRevoke)
	handle("/", func(*http.Request) (any, error) {
		return nil, &InvalidError{Code: "not_found",
			Reason: "there are GET /, POST /clock, POST /mint, POST /rotate and POST /revoke"}
	})
	wanted := sha256.Sum256([]byte(token)) // digests have one length, so that the comparison takes one time
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(given))
		if subtle.ConstantTimeCompare(got[:], wanted[:]) != 1 || !strings.EqualFold(scheme, "Bearer") {
			w.Header().Set("WWW-Authenticate", "Bearer")
			write(w, http.StatusUnauthorized, fault{"invalid_token",
				"Send the control token that signet serve --test printed as the bearer token."})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxControl)
		mux.ServeHTTP(w, r)
	})
}

// fault is the body of an error.
type fault struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func reply(w http.ResponseWriter, r *http.Request, answer func(*http.Request) (any, error), log *slog.Logger) {
	body, err := answer(r)
	var invalid *InvalidError
	switch {
	case err == nil:
		write(w, http.StatusOK, body)
	case errors.As(err, &invalid):
		status := http.StatusBadRequest
		if invalid.Code == "not_found" {
			status = http.StatusNotFound
		}
		write(w, status, fault{invalid.Code, sentence(invalid.Reason)})
	default:
		log.Error("a control request failed", "path", r.URL.Path, "error", err)
		write(w, http.StatusServiceUnavailable, fault{"unavailable", "The test issuer cannot do this now; its log says why."})
	}
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a caller that went away misses nothing
}

// sentence gives a reason its capital and its stop, unless it ends with the sentence of another error.
func sentence(reason string) string {
	return strings.ToUpper(reason[:1]) + strings.TrimSuffix(reason[1:], ".") + "."
}

// read decodes the body of a request, strictly.
func read(r *http.Request, v any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return &InvalidError{Code: "invalid_request", Reason: "the body cannot be read, or is longer than 256 KiB"}
	}
	if err := strictjson.Unmarshal(body, v, strictjson.RefuseUnknown); err != nil {
		return &InvalidError{Code: "invalid_request",
			Reason: "the body is not the JSON that is expected here: " + err.Error()}
	}
	return nil
}

// State is the answer to most control requests.
type State struct {
	Issuer string     `json:"issuer"`
	Now    time.Time  `json:"now"`
	Keys   []KeyState `json:"keys"` // of the key set, and those that were in it
}

// KeyState is one key of a State.
type KeyState struct {
	KeyID     string `json:"kid"`
	Algorithm string `json:"alg"`
	State     string `json:"state"` // pending, active, retiring or removed
}

func (c *Controls) state() (any, error) {
	s := State{Issuer: c.Issuer, Now: c.Clock.Now().UTC(), Keys: []KeyState{}}
	report, err := c.Keys.Timeline(context.Background())
	if err != nil {
		return nil, err
	}
	for _, k := range report.Keys {
		s.Keys = append(s.Keys, KeyState{k.KeyID, k.Algorithm, string(k.State)})
	}
	return s, nil
}

// mostAdvance is how far the clock can be moved at once: every day of it asks the database.
const mostAdvance = 10 * 366 * 24 * time.Hour

func (c *Controls) postClock(r *http.Request) (any, error) {
	var in struct {
		Advance string `json:"advance"`
	}
	if err := read(r, &in); err != nil {
		return nil, err
	}
	d, err := time.ParseDuration(in.Advance)
	if err != nil || d.Abs() > mostAdvance {
		return nil, &InvalidError{Code: "invalid_duration",
			Reason: "advance is a duration such as 90s, 10m or -1h30m, of ten years at most"}
	}
	if err := c.Advance(r.Context(), d); err != nil {
		return nil, err
	}
	return c.state()
}

func (c *Controls) postMint(r *http.Request) (any, error) {
	var recipe Recipe
	if err := read(r, &recipe); err != nil {
		return nil, err
	}
	token, err := c.Mint(recipe)
	return struct {
		Token string `json:"token"`
	}{token}, err
}

func (c *Controls) postRotate(r *http.Request) (any, error) {
	if _, err := c.Rotate(r.Context()); err != nil {
		return nil, err
	}
	return c.state()
}

func (c *Controls) postRevoke(r *http.Request) (any, error) {
	var in struct {
		KeyIDs  []string `json:"kids"`
		All     bool     `json:"all"`
		Session string   `json:"session"`
		User    string   `json:"user"`
	}
	if err := read(r, &in); err != nil {
		return nil, err
	}
	given := 0
	for _, is := range []bool{len(in.KeyIDs) > 0, in.All, in.Session != "", in.User != ""} {
		if is {
			given++
		}
	}
	var err error
	switch {
	case given != 1:
		err = &InvalidError{Code: "invalid_request", Reason: "give one of kids, all, session and user"}
	case in.Session != "":
		err = c.EndSession(r.Context(), in.Session)
	case in.User != "":
		err = c.EndSessions(r.Context(), in.User)
	default:
		err = c.RevokeKeys(r.Context(), in.KeyIDs...)
	}
	if err != nil {
		return nil, err
	}
	return c.state()
}
