package crashes_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

func TestF16EveryStatementOfEveryJourney(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(*testing.T) *store) {
		all := &swept{done: map[string]bool{}, routes: map[string]int{}}
		t.Run("journeys", func(t *testing.T) {
			for _, j := range journeys {
				t.Run(j.name, func(t *testing.T) {
					t.Parallel()
					all.begin()
					sweep(t, j, open(t), all)
				})
			}
		})
		if all.journeys == len(journeys) { // not where -run chose some
			complete(t, all)
		}
		t.Logf("%d journeys, %d routes, %d points", len(journeys), len(all.routes), all.points)
	})
}

// complete fails the test unless every route of the server was in a journey, and each that asks the
// store met its faults there.
func complete(t *testing.T, all *swept) {
	s := apitest.New(t, apitest.Options{PasskeyOrigins: []string{"https://app.test"}})
	for _, r := range s.Replicas[0].API.Routes() {
		route := r.Method + " " + r.Path
		statements, walked := all.routes[route]
		switch why, exempt := storeless[route]; {
		case !walked:
			t.Errorf("%s is in no journey", route)
		case exempt && statements != 0:
			t.Errorf("%s asks the store %d times (%s)", route, statements, why)
		case !exempt && statements == 0:
			t.Errorf("%s never asks the store, and is not in the list of such routes", route)
		}
	}
}

// storeless are the routes that never ask the store, and so meet no fault.
var storeless = map[string]string{
	"GET /forgot":                                 "a form",
	"GET /verify":                                 "a form",
	"GET /change/{token}":                         "a redirect, with the token in a sealed handle",
	"GET /factor-undo/{token}":                    "a redirect, with the token in a sealed handle",
	"GET /invite/{token}":                         "a redirect, with the token in a sealed handle",
	"GET /reset/{token}":                          "a redirect, with the token in a sealed handle",
	"GET /undo/{token}":                           "a redirect, with the token in a sealed handle",
	"GET /verify/{token}":                         "a redirect, with the token in a sealed handle",
	"POST /login/passkey":                         "the challenge is in a sealed handle",
	"POST /message/passkey":                       "the challenge is in a sealed handle",
	"GET /.well-known/jwks.json":                  "served from memory",
	"GET /.well-known/openid-configuration":       "served from memory",
	"GET /.well-known/oauth-authorization-server": "served from memory",
	"GET /.well-known/webauthn":                   "the configuration",
	"GET /healthz":                                "the process alone",
	"GET /openapi.json":                           "a document of the build",
	"GET /assets/{name}":                          "a file of the build",
	"GET /favicon.ico":                            "a file of the build",
	"GET /oauth2/session/check":                   "a page of the build",
	"GET /":                                       "a redirect",
}

// documentJourney asks for what is the same for everybody.
var documentJourney = journey{"documents",
	with(func(o *apitest.Options) { o.PasskeyOrigins = []string{"https://app.test"} }),
	func(s *apitest.Server, _ string) {
		for _, path := range []string{
			"/.well-known/jwks.json", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server",
			"/.well-known/webauthn", "/healthz", "/readyz", "/openapi.json", "/oauth2/session/check",
		} {
			if a := s.Do(apitest.Request{Path: path}); a.Status >= 400 {
				s.T.Fatalf("%s: %d", path, a.Status)
			}
		}
		s.Browser().Send(apitest.Request{Path: "/"}).Want(303, "")
		s.Do(apitest.Request{Path: "/favicon.ico"})
		_, rest, _ := strings.Cut(string(s.Browser().Open("/login").Body), `<link rel="icon" href="`)
		icon, _, _ := strings.Cut(rest, `"`)
		s.Do(apitest.Request{Path: icon}).Want(200, "")
	}}

var journeys = slices.Concat(accountJourneys, mailJourneys, factorJourneys, adminJourneys, oauthJourneys,
	clientJourneys,
	pageJourneys, accountPageJourneys, []journey{documentJourney})
