package issuer

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestARequestObjectAtAnAddressIsKeptAsLongAsIsSound(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	fetched, failing := 0, false
	ro := &RequestObjects{Fetch: func(_ context.Context, url string) ([]byte, error) {
		if fetched++; failing {
			return nil, errors.New("no answer")
		}
		if url != "https://c.test/r" {
			t.Errorf("fetched %s", url)
		}
		return []byte("object"), nil
	}}
	for _, row := range []struct {
		name, uri string
		later     time.Duration
		failing   bool
		want      int // fetches
		refused   bool
	}{
		{"the first time", "https://c.test/r", 0, false, 1, false},
		{"without a fragment, each time", "https://c.test/r", 0, false, 1, false},
		{"with one", "https://c.test/r#1", 0, false, 1, false},
		{"the same version", "https://c.test/r#1", 59 * time.Second, false, 0, false},
		{"another version", "https://c.test/r#2", 0, false, 1, false},
		{"a minute later", "https://c.test/r#2", time.Minute, false, 1, false},
		{"a clock that went back", "https://c.test/r#2", -time.Hour, false, 1, false},
		{"a failure", "https://c.test/r", 0, true, 1, true},
		{"is not tried again at once", "https://c.test/r#2", 9 * time.Second, false, 0, true},
		{"but soon", "https://c.test/r#2", time.Second, false, 1, false},
	} {
		fetched, failing, now = 0, row.failing, now.Add(row.later)
		body, err := ro.get(t.Context(), row.uri, now)
		if fetched != row.want || (err != nil) != row.refused || err == nil && string(body) != "object" {
			t.Errorf("%s: %d fetches, %q, %v", row.name, fetched, body, err)
		}
	}
}

// Requests for one document take turns; one that is given up frees its turn, and the fetch goes on.
func TestOneFetchOfADocumentAtATime(t *testing.T) {
	started, finish := make(chan struct{}, 8), make(chan struct{})
	ro := &RequestObjects{Fetch: func(ctx context.Context, _ string) ([]byte, error) {
		started <- struct{}{}
		<-finish
		return []byte("object"), ctx.Err()
	}}
	ctx, hangUp := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if _, err := ro.get(ctx, "https://c.test/r#1", time.Now()); err != nil {
			t.Error(err)
		}
	})
	<-started
	hangUp()
	if _, err := ro.get(ctx, "https://c.test/r#1", time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("waited: %v", err)
	}
	running.Go(func() {
		if body, err := ro.get(t.Context(), "https://c.test/r#1", time.Now()); err != nil || string(body) != "object" {
			t.Errorf("%q, %v", body, err)
		}
	})
	close(finish)
	running.Wait()
	if len(started) != 0 {
		t.Errorf("fetched %d times more", len(started))
	}
}
