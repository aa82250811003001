package apitest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// WrongPassword is the password of no account.
const WrongPassword = "not the password of anybody"

// BehindProxy has three replicas behind a proxy at the tests' own address, so that a test says by
// From where its requests come from.
func BehindProxy(o *Options) {
	o.Replicas = 3
	Configured(func(r *Replica) { r.API.TrustedProxies = []string{"127.0.0.0/8", "::1"} })(o)
}

// From is the header of a request that comes from an address.
func From(address string) http.Header { return http.Header{"X-Forwarded-For": {address}} }

// LoginBy logs in at a replica, by an email address or a username.
func LoginBy(s *Server, replica int, name, password string, header http.Header) *Response {
	s.T.Helper()
	body := Fields{"password": password}
	switch {
	case strings.Contains(name, "@"):
		body["email"] = name
	default:
		body["username"] = name
	}
	return s.Do(Request{Method: "POST", Path: "/v1/login", Body: body, Header: header, Replica: replica})
}

// Guesses sends n wrong passwords and counts those that were checked.
func Guesses(s *Server, n int, name string, header http.Header) (checked int) {
	s.T.Helper()
	for i := range n {
		switch a := LoginBy(s, i%len(s.Replicas), name, WrongPassword, header); a.Code() {
		case "invalid_credentials":
			checked++
		case "rate_limited":
		default:
			s.T.Fatalf("a wrong password: %d %s", a.Status, a.Body)
		}
	}
	return checked
}

// Limited wants a refusal for so long.
func Limited(s *Server, a *Response, wait time.Duration) {
	s.T.Helper()
	a.Want(429, "rate_limited")
	if got := a.Header.Get("Retry-After"); got != strconv.Itoa(int(wait/time.Second)) {
		s.T.Errorf("Retry-After is %s, want %s", got, wait)
	}
}

// SignUpAs makes an account with a username, and the email address name@example.test.
func SignUpAs(s *Server, name string) User {
	s.T.Helper()
	u := User{Email: name + "@example.test", Password: s.Secret("planted password of " + name + " and nobody else")}
	var p struct{ Sub string }
	body := Fields{"email": u.Email, "username": name, "password": u.Password}
	s.Do(Request{Method: "POST", Path: "/v1/signup", Body: body}).Want(201, "").JSON(&p)
	u.ID = p.Sub
	return u
}
