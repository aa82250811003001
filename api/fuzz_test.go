package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// FuzzSignUpBody: whatever the bytes, signing up answers with a profile or with a
// well-formed refusal, and never with a fault of ours.
func FuzzSignUpBody(f *testing.F) {
	for _, seed := range []string{
		`{"email":"a@example.test","password":"a password of planted words"}`,
		`{"email":"a@example.test","password":"a password of planted words","address":{"locality":"x"},"username":"u"}`,
		`{"email":"a@example.test","email":"b@example.test"}`, `{"EMAIL":""}`, `[]`, `null`, `{`, "", `{"email":1e400}`,
		"{\"name\":\"\xff\"}", `{"name":"\ud800"}`,
		`{"email":"a@example.test","password":"a password of planted words","picture":"javascript:x","birthdate":"0000-13-99","locale":"--","zoneinfo":"../x","phone_number":"+"}`,
	} {
		f.Add([]byte(seed))
	}
	s := apitest.New(f, apitest.Options{})
	handler := s.Replicas[0].HTTP.Config.Handler
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/v1/signup", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		var answer struct{ Sub, Code string }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%d: %v: %s", w.Code, err, w.Body)
		}
		switch w.Code {
		case 201:
			if answer.Sub == "" || !json.Valid(body) {
				t.Errorf("201 for %q: %s", body, w.Body)
			}
		case 400, 409, 413:
			if answer.Code == "" {
				t.Errorf("%d without a code: %s", w.Code, w.Body)
			}
		default:
			t.Errorf("%d for %q: %s", w.Code, body, w.Body)
		}
	})
}

// FuzzAdminQuery: whatever stands after the ?, cursors included, a list is answered with a page or
// with a refusal.
func FuzzAdminQuery(f *testing.F) {
	s := apitest.New(f, apitest.Options{})
	_, admin := s.Admin("root")
	s.SignUp("alice")
	var page struct {
		Next string `json:"next_cursor"`
	}
	for _, list := range []string{"users", "audit"} {
		s.Do(apitest.Request{Path: "/v1/admin/" + list + "?limit=1", Token: admin.Access}).Want(200, "").JSON(&page)
		f.Add("limit=1&cursor=" + page.Next)
	}
	for _, seed := range []string{
		"", "search=a&role=b&status=active&limit=500", "search=%00", "search=%ff", "search=%zz", "search=a&search=b", "a;b",
		"&&=&", "limit=-0", "status[]=active",
		"event=login_failed&actor=a&target=b&from=2026-11-21T12:00:00Z&to=2026-11-21T12:00:00.000001Z",
		"from=0000-01-01T00:00:00Z", "to=9999-12-31T23:59:59.999999999Z", "cursor=AAAA",
	} {
		f.Add(seed)
	}
	handler := s.Replicas[0].HTTP.Config.Handler
	f.Fuzz(func(t *testing.T, query string) {
		for _, list := range []string{"users", "audit"} {
			r := httptest.NewRequest(http.MethodGet, "/v1/admin/"+list, nil)
			r.URL.RawQuery = query
			r.Header.Set("Authorization", "Bearer "+admin.Access)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != 200 && w.Code != 400 || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s?%s: %d %s", list, query, w.Code, w.Body)
			}
		}
	})
}
