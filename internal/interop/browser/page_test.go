//go:build interop

package browser

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A page that is shown while a part of it is still on the way ends loading at any time. What waits for
// the next page must not take that end for the next page's.
func TestTheEndOfThePageBeforeIsNotTheNextPage(t *testing.T) {
	part := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /first", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><body class=first><a id=next href=second>next</a><img src=part>`)
	})
	mux.HandleFunc("GET /second", func(w http.ResponseWriter, _ *http.Request) {
		<-time.After(200 * time.Millisecond) // the next page is not there at once
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><body class=second>`)
	})
	mux.HandleFunc("GET /part", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-part:
		case <-r.Context().Done():
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	tab := Start(t).Tab(t)
	tab.Do("Page.navigate", map[string]any{"url": server.URL + "/first"}, nil)
	tab.Wait("document.querySelector('.first #next')")
	tab.Loads(func() {
		close(part)
		tab.Wait("document.readyState === 'complete'")
		tab.Click("#next")
	})
	var history struct {
		Current int `json:"currentIndex"`
		Entries []struct{ URL string }
	}
	tab.Do("Page.getNavigationHistory", nil, &history)
	if shown := history.Entries[history.Current].URL; shown != server.URL+"/second" {
		t.Errorf("%s is shown", shown)
	}
}
