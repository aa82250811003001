package backchannel_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/backchannel"
	"github.com/signet-id/signet/userstore"
)

func TestAnAppIsToldOnce(t *testing.T) {
	each(t, func(w *world) {
		s := w.sender()
		w.step(s, 0)
		a, b := w.client("a"), w.client("b")
		for _, status := range []int{200, 204, 202} {
			w.heard, w.answer = nil, func(string) (int, error) { return status, nil }
			first, second := w.ended(a), w.ended(b)
			w.step(s, 2)
			w.step(s, 0)
			if got := strings.Join(w.arrived(), " "); got != first+" "+second && got != second+" "+first {
				w.Errorf("%d: the apps heard %s, want %s and %s", status, got, first, second)
			}
		}
		stats := s.Stats()
		if stats.Sent != 6 || stats.Failed != 0 || stats.GivenUp != 0 || stats.Waiting != 0 || !stats.Oldest.IsZero() {
			w.Errorf("%+v", stats)
		}
		if log := w.log.String(); strings.Contains(log, secret) || strings.Contains(log, "hidden") ||
			strings.Count(log, "app told of a logout") != 6 {
			w.Error(log)
		}
	})
}

// What the apps answer decides what becomes of a logout.
func TestAnswersOfApps(t *testing.T) {
	noAnswer := &url.Error{Op: "Post", URL: "https://a.test/out?key=hidden", Err: errors.New("connection refused")}
	late := &url.Error{Op: "Post", URL: "https://a.test/out?key=hidden", Err: context.DeadlineExceeded}
	each(t, func(w *world) {
		for n, row := range []struct {
			status   int
			err      error
			attempts int    // until it is given up; 0: as long as it is worth
			reason   string // in the entry
		}{
			{400, nil, 5, "the answer is 400 Bad Request"}, {401, nil, 5, "the answer is 401 Unauthorized"},
			{404, nil, 5, "the answer is 404 Not Found"}, {410, nil, 5, "the answer is 410 Gone"},
			{301, nil, 0, "the answer is 301 Moved Permanently; redirects are not followed"},
			{302, nil, 0, "the answer is 302 Found; redirects are not followed"},
			{408, nil, 0, "the answer is 408 Request Timeout"}, {429, nil, 0, "the answer is 429 Too Many Requests"},
			{500, nil, 0, "the answer is 500 Internal Server Error"}, {501, nil, 0, "the answer is 501 Not Implemented"},
			{503, nil, 0, "the answer is 503 Service Unavailable"}, {799, nil, 0, "the answer is 799"},
			{0, noAnswer, 0, "no answer: connection refused"}, {0, late, 0, "no answer: it took too long"},
		} {
			s := w.sender()
			w.heard, w.answer = nil, func(string) (int, error) { return row.status, row.err }
			c := w.client(fmt.Sprint("a", n))
			sid := w.ended(c)
			begin := w.now
			var gaps []time.Duration
			for w.waiting() > 0 {
				before := len(w.arrived())
				at := w.now
				for len(w.arrived()) == before && w.now.Sub(at) < 90*time.Minute {
					w.advance(500 * time.Millisecond << min(len(gaps), 8))
					if _, err := s.Step(w.Context()); err != nil {
						w.Fatal(err)
					}
				}
				gaps = append(gaps, w.now.Sub(at))
			}
			attempts, took := len(w.arrived()), w.now.Sub(begin)
			why := "refused"
			if row.attempts == 0 {
				why = "ended"
			}
			if row.attempts > 0 && (attempts != row.attempts || took < 2*time.Minute || took > time.Hour) ||
				row.attempts == 0 && (took < 22*time.Hour || took > 26*time.Hour || attempts < 20 || attempts > 40) {
				w.Errorf("%s: %d attempts in %s", row.reason, attempts, took)
			}
			entries := w.givenUp()
			if len(entries) != n+1 {
				w.Fatalf("%s: %d entries", row.reason, len(entries))
			}
			e := entries[0]
			if e.ClientID != c.ID || e.SessionID != sid || e.Target != audit.User(w.user.ID) || e.Outcome != audit.Failure ||
				e.Reason != why || len(e.Changes) != 1 || e.Changes[0] != (audit.Change{Field: "answer", After: row.reason}) ||
				e.Actor.Type != audit.BySystem {
				w.Errorf("%s: %+v", row.reason, e)
			}
			if stats := s.Stats(); stats.Sent != 0 || stats.GivenUp != 1 || stats.Failed != int64(attempts) {
				w.Errorf("%s: %+v after %d attempts", row.reason, stats, attempts)
			}
			w.advance(48 * time.Hour)
			w.step(s, 0)
		}
		if log := w.log.String(); strings.Contains(log, secret) || strings.Contains(log, "hidden") {
			w.Error("the log holds a token or an address")
		}
	})
}

// F-37: an app that was away hears of everything when it is back.
func TestAnAppThatIsBack(t *testing.T) {
	each(t, func(w *world) {
		s, c := w.sender(), w.client("a")
		w.answer = func(string) (int, error) { return 503, nil }
		const sessions = 40
		for range sessions {
			w.ended(c)
		}
		// A dead app costs an attempt or two each time, not one for each session.
		w.step(s, 1)
		tries := 0
		for range 60 {
			w.advance(time.Minute + time.Second)
			n, err := s.Step(w.Context())
			w.must(err)
			tries += n
		}
		if tries > 120 {
			w.Errorf("%d attempts in an hour", tries)
		}
		w.answer, w.heard = nil, nil
		for range 70 {
			w.advance(time.Minute)
			_, err := s.Step(w.Context())
			w.must(err)
		}
		if n := len(w.arrived()); n != sessions || w.waiting() != 0 || len(w.givenUp()) != 0 {
			w.Errorf("%d of %d were told, %d wait", n, sessions, w.waiting())
		}
	})
}

// One app that does not answer takes no other app's turn.
func TestASlowAppDelaysNoOther(t *testing.T) {
	each(t, func(w *world) {
		slow, quick := w.client("slow"), w.client("quick")
		for range 10 {
			w.ended(slow)
		}
		hanging := make(chan struct{})
		var hang sync.WaitGroup
		told := make(chan string, 10)
		s := w.sender()
		s.AtOnce, s.Poll = 4, time.Millisecond
		s.Post = func(_ context.Context, address string, form url.Values) (int, error) {
			if strings.HasPrefix(address, "https://slow.test/") {
				hang.Add(1)
				defer hang.Done()
				<-hanging
				return 200, nil
			}
			told <- strings.TrimPrefix(form.Get("logout_token"), secret)
			return 200, nil
		}
		ctx, stop := context.WithCancel(w.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx) }()
		for range 5 {
			if sid := w.ended(quick); <-told != sid {
				w.Error("another one was told")
			}
		}
		stop()
		close(hanging)
		<-done
		if n := s.Stats().Sent; n < 5 || n > 7 {
			w.Errorf("%d were told: of the slow one two at a time", n)
		}
	})
}

// Three replicas, each with many workers: every app hears once of each session.
func TestThreeReplicasTellOnce(t *testing.T) {
	each(t, func(w *world) {
		const apps, sessions = 6, 8
		want := map[string]bool{}
		for n := range apps {
			c := w.client(fmt.Sprint("app", n))
			for range sessions {
				want[w.ended(c)] = true
			}
		}
		ctx, stop := context.WithCancel(w.Context())
		defer stop()
		var told atomic.Int64
		var replicas sync.WaitGroup
		for range 3 {
			s := w.sender()
			s.Poll = time.Millisecond
			s.Post = func(ctx context.Context, address string, form url.Values) (int, error) {
				status, err := w.post(ctx, address, form)
				if told.Add(1) == apps*sessions {
					stop()
				}
				return status, err
			}
			replicas.Go(func() { s.Run(ctx) })
		}
		replicas.Wait()
		for _, sid := range w.arrived() {
			if !want[sid] {
				w.Errorf("%s was told twice", sid)
			}
			delete(want, sid)
		}
		if len(want) != 0 || w.waiting() != 0 {
			w.Errorf("%d were not told, %d wait\n%s", len(want), w.waiting(), w.log)
		}
	})
}

// Nobody is asked who does not want to hear, or cannot.
func TestNobodyToTell(t *testing.T) {
	each(t, func(w *world) {
		s := w.sender()
		off, deaf, gone := w.client("off"), w.client("deaf"), w.client("gone")
		for _, c := range []userstore.Client{off, deaf, gone} {
			w.ended(c)
		}
		w.must(w.db.SetClientActive(w.Context(), off.ID, false, w.now))
		deaf.Version, deaf.BackchannelLogoutURI = 1, ""
		w.must(w.db.UpdateClient(w.Context(), deaf))
		w.must(w.db.DeleteClient(w.Context(), gone.ID))
		w.step(s, 2)
		if len(w.arrived()) != 0 || w.waiting() != 0 || len(w.givenUp()) != 0 {
			w.Errorf("%v", w.arrived())
		}
		// A token that cannot be signed is no fault of the app.
		sid := w.ended(w.client("a"))
		s.Token = func(userstore.AppSession, userstore.Client) (string, error) { return "", errors.New("no key") }
		w.step(s, 1)
		w.advance(2 * time.Second)
		w.step(w.sender(), 1)
		if got := w.arrived(); len(got) != 1 || got[0] != sid {
			w.Errorf("%v", got)
		}
	})
}

func TestComplete(t *testing.T) {
	if err := (&backchannel.Sender{}).Complete(); err == nil ||
		err.Error() != "backchannel.Sender is made without Post, Store, Clients, Token, Now, Log" {
		t.Error(err)
	}
}
