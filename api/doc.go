// Package api is how the issuer looks over HTTP: it owns the list of routes and the pipeline around
// every route, and nothing of the rules behind them.
//
// A request passes the pipeline, written once in handle.go, so that no endpoint can forget a step:
//
//	request id → route (api.go) → security headers → CORS → deadline, body limit, origin
//	  → handler: parse (wire), one issuer or accounts call, write
//	  → error, if any, through the one table of api/problem, written as its class of route wants it (errors.go)
//	  → one log line, one metric
//
// The endpoints live in packages by whom they serve, each with one struct of handlers:
//
//	protocol   apps and resource servers: token, introspection, revocation, userinfo
//	account    people, through a first-party app: /v1
//	admin      administrators: /v1/admin
//	pages      browsers: authorization, logout and the hosted pages; web makes the pages themselves
//
// Below them stand bearer (a handler that is given its user), profile (an account as JSON), wire
// (reading and writing) and problem (codes). Imports run one way, api → protocol, account, admin,
// pages → bearer, profile → wire → problem, and none of these packages knows the pipeline; a test
// holds that.
//
// Handlers return their errors; only the pipeline turns one into an answer and only there is it
// logged. An answer that tells of an error is an RFC 9457 problem document on the account API
// (/v1), OAuth's {error, error_description} on the protocol endpoints, and a page for people.
//
// openapi.json describes all of it by hand; tests hold it against the real handlers, route by route
// and answer by answer (apitest).
package api
