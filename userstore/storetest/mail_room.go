package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// mailRoom tests that a budget has room for as many messages as its limits say, also at once, and that
// a call whose answer was lost takes no more of it.
func mailRoom(t *testing.T, f *fixture) {
	limits := []userstore.Limit{{Free: 2, Window: time.Minute}, {Free: 3, Window: time.Hour}}
	now, budget := f.now, id()
	take := func(after time.Duration, want bool) {
		t.Helper()
		f.now = now.Add(after)
		r, _ := f.request(budget)
		for range 2 { // the second one is an answer that was lost
			room, err := f.TakeMailRoom(t.Context(), r, limits)
			must(t, err)
			equal(t, "room", room, want)
		}
	}
	var taken atomic.Int64
	together(8, func(int) {
		r, _ := f.request(budget)
		room, err := f.TakeMailRoom(t.Context(), r, limits)
		if err != nil {
			t.Error(err)
		}
		if room {
			taken.Add(1)
		}
	})
	equal(t, "at once", taken.Load(), int64(2))
	take(time.Second, false)
	take(time.Minute, true)
	take(2*time.Minute, false)
	take(time.Hour, true)

	// Requests of the budget and messages of other operations share it.
	r, m := f.request(budget)
	must(t, f.RequestMail(t.Context(), r, []userstore.Limit{{Free: 1, Window: time.Hour}}, m))
	equal(t, "messages", len(f.waits(t, m.To)), 0)
	f.now = now
}
