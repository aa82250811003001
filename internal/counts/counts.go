// Package counts counts what happens, for whoever shows it: metrics read the numbers when they are
// asked for. The packages that know an outcome count it with one atomic addition, and know nothing
// of the library that shows it.
package counts

import (
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Outcomes counts outcomes. An outcome is a number below the length of names, which are words of the
// code: no input can add one. The zero value is ready.
type Outcomes struct{ n [16]atomic.Uint64 }

// Add counts an outcome once.
func (c *Outcomes) Add(outcome int) { c.n[outcome].Add(1) }

// Each calls yield with the count of every outcome, also of those that never happened.
func (c *Outcomes) Each(names []string, yield func(name string, n uint64)) {
	for i, name := range names {
		yield(name, c.n[i].Load())
	}
}

// Words counts rare outcomes by their words, which must be constants of the code or one of a few. The
// zero value is ready.
type Words struct {
	mu sync.Mutex
	n  map[string]uint64
}

// Add counts word n times.
func (w *Words) Add(word string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n == nil {
		w.n = map[string]uint64{}
	}
	w.n[word] += uint64(max(0, n))
}

// Each calls yield with the count of each of the words, and of every other that was counted.
func (w *Words) Each(words []string, yield func(word string, n uint64)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, word := range words {
		yield(word, w.n[word])
	}
	for word, n := range w.n {
		if !slices.Contains(words, word) {
			yield(word, n)
		}
	}
}

// Cells holds what is counted by keys that are few and stay: a value is made when its key is first
// met, and never changed or removed. Looking one up takes no lock and no memory. The zero value is
// ready.
type Cells[K comparable, V any] struct {
	all    atomic.Pointer[map[K]V] // copied whenever a value is added
	adding sync.Mutex              // held by whoever replaces all
}

// All returns the values by key. Nobody changes the map.
func (c *Cells[K, V]) All() map[K]V {
	if all := c.all.Load(); all != nil {
		return *all
	}
	return nil
}

// Of returns the value of a key. Where there is none yet, it is made.
func (c *Cells[K, V]) Of(key K, make func(K) V) V {
	v, _ := c.Within(math.MaxInt, key, make)
	return v
}

// Within is Of, but makes no more than most values. It returns false for any other key.
func (c *Cells[K, V]) Within(most int, key K, make func(K) V) (V, bool) {
	all := c.All()
	if v, ok := all[key]; ok || len(all) >= most {
		return v, ok
	}
	c.adding.Lock()
	defer c.adding.Unlock()
	all = c.All()
	if v, ok := all[key]; ok || len(all) >= most { // another call was first
		return v, ok
	}
	next := map[K]V{key: make(key)}
	maps.Copy(next, all)
	c.all.Store(&next)
	return next[key], true
}

// Bounds are the upper bounds of the buckets of every Histogram.
var Bounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	100 * time.Millisecond, 500 * time.Millisecond, 2500 * time.Millisecond,
}

// Histogram counts durations by size. The zero value is ready.
type Histogram struct {
	buckets [len(Bounds) + 1]atomic.Uint64 // the last is of what is longer than every bound
	sum     atomic.Int64
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	n := 0
	for n < len(Bounds) && d > Bounds[n] {
		n++
	}
	h.buckets[n].Add(1)
	h.sum.Add(int64(d))
}

// Durations are the counts of a Histogram at one moment.
type Durations struct {
	Count   uint64
	Sum     time.Duration
	Buckets map[float64]uint64 // by upper bound in seconds, each with those below
}

// Read returns the counts. Count is that of the buckets, whatever is observed meanwhile.
func (h *Histogram) Read() Durations {
	d := Durations{Buckets: make(map[float64]uint64, len(Bounds))}
	for i := range h.buckets {
		d.Count += h.buckets[i].Load()
		if i < len(Bounds) {
			d.Buckets[Bounds[i].Seconds()] = d.Count
		}
	}
	d.Sum = time.Duration(h.sum.Load())
	return d
}
