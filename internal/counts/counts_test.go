package counts_test

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/counts"
)

func TestCounts(t *testing.T) {
	var c counts.Outcomes
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 1000 {
				c.Add(1)
			}
		})
	}
	wait.Wait()
	got := map[string]uint64{}
	c.Each([]string{"never", "often"}, func(name string, n uint64) { got[name] = n })
	if want := map[string]uint64{"never": 0, "often": 8000}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestWords(t *testing.T) {
	var w counts.Words
	w.Add("known", 2)
	w.Add("other", 3)
	w.Add("other", -1)
	got := map[string]uint64{}
	w.Each([]string{"known", "never"}, func(word string, n uint64) { got[word] = n })
	if want := map[string]uint64{"known": 2, "never": 0, "other": 3}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestHistogram(t *testing.T) {
	var h counts.Histogram
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, 30 * time.Millisecond, time.Hour} {
		h.Observe(d)
	}
	got := h.Read()
	want := map[float64]uint64{.001: 2, .0025: 3, .005: 3, .01: 3, .025: 3, .1: 4, .5: 4, 2.5: 4}
	if got.Count != 5 || got.Sum != time.Hour+32*time.Millisecond+1 || !reflect.DeepEqual(got.Buckets, want) {
		t.Errorf("%+v", got)
	}
}

// What requests call takes no memory.
func TestCountingAllocatesNothing(t *testing.T) {
	var c counts.Outcomes
	var h counts.Histogram
	if n := testing.AllocsPerRun(100, func() { c.Add(3); h.Observe(time.Second) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCells(t *testing.T) {
	var c counts.Cells[int, *counts.Outcomes]
	if len(c.All()) != 0 {
		t.Errorf("%v", c.All())
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for key := range 1000 {
				c.Of(key%10, func(int) *counts.Outcomes { return &counts.Outcomes{} }).Add(0)
			}
		})
	}
	wait.Wait()
	for key, cell := range c.All() {
		cell.Each([]string{"met"}, func(_ string, n uint64) {
			if n != 800 { // one value was made for all, and none was lost
				t.Errorf("%d: %d", key, n)
			}
		})
	}
	fresh := func(int) *counts.Outcomes { return &counts.Outcomes{} }
	if _, ok := c.Within(10, 10, fresh); ok || len(c.All()) != 10 {
		t.Errorf("%d values of 10", len(c.All()))
	}
	if known, ok := c.Within(10, 9, fresh); !ok || known != c.Of(9, fresh) {
		t.Error("a value that was made is not found when there are as many as there may be")
	}
}
