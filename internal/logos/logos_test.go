package logos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// world is a cache whose addresses answer what bodies hold; others fail.
type world struct {
	*Cache
	mu      sync.Mutex
	bodies  map[string][]byte
	fetched map[string]int
	at      time.Time
	wait    chan struct{} // nil: fetches end at once
	begun   chan string
}

func newWorld(t *testing.T) *world {
	w := &world{bodies: map[string][]byte{}, fetched: map[string]int{}, at: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC),
		begun: make(chan string, 100)}
	w.Cache = New(func(ctx context.Context, address string) ([]byte, error) {
		w.mu.Lock()
		w.fetched[address]++
		body, ok := w.bodies[address]
		w.mu.Unlock()
		w.begun <- address
		if w.wait != nil {
			<-w.wait
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !ok {
			return nil, errors.New("down")
		}
		return body, nil
	}, func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.at })
	return w
}

func (w *world) advance(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.at = w.at.Add(d) }

func (w *world) set(address string, body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bodies[address] = body
}

// gets checks what Get answers, and how often the address was fetched in all.
func (w *world) gets(t *testing.T, what, address string, want []byte, fetched int) {
	t.Helper()
	image, err := w.Get(t.Context(), address)
	if !bytes.Equal(image.Body, want) || (err == nil) != (want != nil) {
		t.Errorf("%s: %d bytes, %v; want %d", what, len(image.Body), err, len(want))
	}
	if w.fetched[address] != fetched {
		t.Errorf("%s: fetched %d times, want %d", what, w.fetched[address], fetched)
	}
	for len(w.begun) > 0 {
		<-w.begun
	}
}

func TestALogoIsFetchedOnceADay(t *testing.T) {
	w := newWorld(t)
	const at = "https://app.test/logo"
	first, second := drawn(t, "png", 3, 3), drawn(t, "jpeg", 5, 5)
	w.set(at, first)
	w.gets(t, "the first time", at, first, 1)
	w.set(at, second)
	w.gets(t, "again", at, first, 1)
	w.advance(fresh - time.Second)
	w.gets(t, "a day later", at, first, 1)
	w.advance(time.Second)
	w.gets(t, "the next day", at, second, 2)

	// A logo that cannot be fetched again is shown on.
	w.set(at, []byte("<svg/>"))
	w.advance(fresh)
	w.gets(t, "no picture any more", at, second, 3)
	w.gets(t, "at once", at, second, 3)
	w.advance(afterFailed)
	w.gets(t, "after a while", at, second, 4)

	// A clock that was ahead keeps no logo for longer.
	w.set(at, first)
	w.advance(48 * time.Hour)
	w.gets(t, "ahead", at, first, 5)
	w.advance(-48 * time.Hour)
	w.gets(t, "back", at, first, 6)
}

func TestAFailureIsRememberedForAWhile(t *testing.T) {
	w := newWorld(t)
	for name, body := range map[string][]byte{"down": nil, "html": []byte("<!doctype html>")} {
		at := "https://app.test/" + name
		if body != nil {
			w.set(at, body)
		}
		w.gets(t, name, at, nil, 1)
		w.advance(afterFailed - time.Second)
		w.gets(t, name+" again", at, nil, 1)
		w.advance(time.Second)
		good := drawn(t, "png", 2, 2)
		w.set(at, good)
		w.gets(t, name+" after a while", at, good, 2)
	}
}

func TestManyBrowsersCauseOneFetch(t *testing.T) {
	w := newWorld(t)
	const at = "https://app.test/logo"
	w.set(at, drawn(t, "png", 3, 3))
	w.wait = make(chan struct{})
	var wait sync.WaitGroup
	hungUp, cancel := context.WithCancel(t.Context())
	wait.Go(func() { _, _ = w.Get(hungUp, at) })
	<-w.begun // the first browser fetches, and hangs up
	cancel()
	for range 20 {
		wait.Go(func() {
			if image, err := w.Get(t.Context(), at); err != nil || image.MediaType != "image/png" {
				t.Errorf("%q, %v", image.MediaType, err)
			}
		})
	}
	close(w.wait)
	wait.Wait()
	if w.fetched[at] != 1 {
		t.Errorf("fetched %d times", w.fetched[at])
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	w.wait = make(chan struct{})
	wait.Go(func() { _, _ = w.Get(t.Context(), "https://app.test/slow") })
	<-w.begun
	if _, err := w.Get(gone, "https://app.test/slow"); !errors.Is(err, context.Canceled) {
		t.Errorf("a browser that hangs up waits: %v", err)
	}
	close(w.wait)
	wait.Wait()
}

// Strangers who ask for many logos at once get no more than a few fetches, and what fails for that
// reason is not remembered.
func TestFetchesAtOnceAreBounded(t *testing.T) {
	w := newWorld(t)
	w.wait = make(chan struct{})
	logo := drawn(t, "png", 3, 3)
	var wait sync.WaitGroup
	for n := range maxFetches {
		at := fmt.Sprintf("https://app.test/%d", n)
		w.set(at, logo)
		wait.Go(func() { _, _ = w.Get(t.Context(), at) })
	}
	for range maxFetches {
		<-w.begun
	}
	w.set("https://app.test/more", logo)
	if _, err := w.Get(t.Context(), "https://app.test/more"); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v", err)
	}
	close(w.wait)
	wait.Wait()
	w.gets(t, "when there is room", "https://app.test/more", logo, 1)
}

// What is kept is bounded in bytes and addresses; what was used last stays.
func TestWhatIsKeptIsBounded(t *testing.T) {
	w := newWorld(t)
	large := append(drawn(t, "png", 3, 3), make([]byte, MaxBytes-1000)...)
	const used = "https://app.test/used"
	w.set(used, drawn(t, "gif", 3, 3))
	all := 2 * maxKept / len(large)
	for n := range all {
		w.gets(t, "the one that is used", used, w.bodies[used], 1)
		at := fmt.Sprintf("https://app.test/%d", n)
		w.set(at, large)
		w.gets(t, "a large one", at, large, 1)
		if w.size > maxKept {
			t.Fatalf("%d bytes are kept", w.size)
		}
	}
	total := 0
	for _, l := range w.kept {
		total += len(l.image.Body)
	}
	if total != w.size || len(w.kept) >= all {
		t.Errorf("%d bytes of %d logos are kept, and %d counted", total, len(w.kept), w.size)
	}
	w.gets(t, "one that was forgotten", "https://app.test/0", large, 2)
	for n := range 2 * maxAddrs {
		w.gets(t, "one that fails", fmt.Sprintf("https://down.test/%d", n), nil, 1)
	}
	if len(w.kept) > maxAddrs || w.size < 0 {
		t.Errorf("%d addresses are kept, of %d bytes", len(w.kept), w.size)
	}
}
