// Package api is how the issuer looks over HTTP: it owns the routes, the shape of
// requests and answers, and nothing of the rules behind them.
//
// A request passes one pipeline, written once in handle.go, so that no endpoint can
// forget a step:
//
//	request id → route (api.go) → security headers → CORS → deadline, body limit, origin
//	  → handler: parse (body.go, bearer.go), one issuer or accounts call, write
//	  → error, if any, through the one table of errors.go
//	  → one log line, one metric
//
// Handlers of /v1/admin take an adminRequest, which only admin.go makes: past the check of the
// scope, with the query read and nothing unknown in it. Their lists are paged by cursor.go.
//
// Handlers return their errors; only the pipeline turns one into an answer and only
// there is it logged. Three dialects of error leave this package: RFC 9457 problem documents on the account API
// (/v1), OAuth's {error, error_description} on the protocol endpoints, and pages for people.
//
// What people see is made by api/web; which page it is time for is decided here (authorize.go, *_page.go), and what a
// browser carries from one to the next is session.go.
//
// openapi.json describes all of it by hand; tests hold it against the real handlers,
// route by route and answer by answer (apitest).
package api
