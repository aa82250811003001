// Package wire reads requests and writes answers: JSON, forms, client authentication, redirects. It
// knows no endpoint.
package wire

import "net/http"

// Handler answers a request, or returns an error that the pipeline turns into an answer.
type Handler = func(http.ResponseWriter, *http.Request) error
