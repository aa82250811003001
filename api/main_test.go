package api_test

import (
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

func get(t *testing.T, s *apitest.Server, path string, replica int) *apitest.Response {
	t.Helper()
	return s.With(t).Do(apitest.Request{Path: path, Replica: replica}).Want(200, "")
}
