package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/api/problem"
)

func TestOpenAPIListsExactlyTheRoutes(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	doc := s.Describe()
	var routes, described []string
	for _, r := range s.Replicas[0].API.Routes() {
		routes = append(routes, r.Method+" "+r.Path)
	}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	sort.Strings(routes)
	sort.Strings(described)
	if got, want := strings.Join(described, "\n"), strings.Join(routes, "\n"); got != want {
		t.Errorf("openapi.json lists\n%s\n\nthe server has\n%s", got, want)
	}
}

func TestOpenAPIExplainsEveryProblemCode(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	doc := s.Describe()
	table := problem.Codes()
	for _, code := range table {
		kind := code.Kind()
		example := doc.Components.Examples[string(code)]
		if example == nil {
			t.Errorf("no example of %s", code)
			continue
		}
		v := example.Value.Value.(map[string]any)
		if v["title"] != kind.Title || v["detail"] != kind.Detail || v["status"] != float64(kind.Status) ||
			v["code"] != string(code) {
			t.Errorf("the example of %s is %v, the table says %+v", code, v, kind)
		}
	}
	if len(doc.Components.Examples) != len(table) {
		t.Errorf("%d examples for %d codes", len(doc.Components.Examples), len(table))
	}
	codes := doc.Components.Schemas["Problem"].Value.Properties["code"].Value.Enum
	for _, c := range codes {
		if !slices.Contains(table, problem.Code(c.(string))) {
			t.Errorf("the schema lists %v, which nothing answers", c)
		}
	}
	if len(codes) != len(table) {
		t.Errorf("the schema lists %d codes of %d", len(codes), len(table))
	}
}

func TestATypeOfProblemResolvesToItsExplanation(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	var p struct{ Type, Code, Title string }
	s.Do(apitest.Request{Path: "/v1/nothing"}).Want(404, "not_found").JSON(&p)
	url, fragment, _ := strings.Cut(p.Type, "#")
	path, ok := strings.CutPrefix(url, apitest.IssuerURL)
	if !ok {
		t.Fatalf("type %q is not under the issuer", p.Type)
	}
	var doc any
	s.Do(apitest.Request{Path: path}).Want(200, "").JSON(&doc)
	for _, name := range strings.Split(strings.TrimPrefix(fragment, "/"), "/") {
		doc = doc.(map[string]any)[name]
	}
	example, _ := doc.(map[string]any)
	if example["summary"] != p.Title {
		t.Errorf("%s leads to %v", p.Type, doc)
	}
}

func TestOpenAPINamesThisIssuerAsItsServer(t *testing.T) {
	s := apitest.New(t, apitest.Options{IssuerURL: "https://id.test/p"})
	res := s.Do(apitest.Request{Path: "/openapi.json"}).Want(200, "")
	var doc struct{ Servers []struct{ URL string } }
	res.JSON(&doc)
	if len(doc.Servers) != 1 || doc.Servers[0].URL != "https://id.test/p" ||
		strings.Contains(string(res.Body), "localhost") {
		t.Errorf("servers: %+v", doc.Servers)
	}
	if !json.Valid(res.Body) {
		t.Error("not JSON")
	}
	s.Do(apitest.Request{Path: "/openapi.json",
		Header: http.Header{"If-None-Match": {res.Header.Get("ETag")}}}).Want(304, "")
}
