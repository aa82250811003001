package password

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/argon2"
)

// cheap is for tests that are not about cost.
var cheap = Params{MemoryKiB: 8, Time: 1, Threads: 1}

// counted is a Hasher that notes the cost of all it derives.
func counted(p Params) (*Hasher, func() (calls int, work uint64)) {
	h := New(p, 2, 0, 0)
	var calls, work atomic.Uint64
	h.derive = func(password, salt []byte, time, memory uint32, threads uint8, size uint32) []byte {
		calls.Add(1)
		work.Add(uint64(time) * uint64(memory))
		return argon2.IDKey(password, salt, time, memory, threads, size)
	}
	return h, func() (int, uint64) { return int(calls.Swap(0)), work.Swap(0) }
}

func hash(t *testing.T, h *Hasher, password string) string {
	t.Helper()
	phc, err := h.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	return phc
}

func matches(t *testing.T, h *Hasher, phc, password string) (ok, stale bool) {
	t.Helper()
	ok, stale, err := h.Verify(t.Context(), phc, password)
	if err != nil {
		t.Fatal(err)
	}
	return ok, stale
}

func TestU36StoredHash(t *testing.T) {
	h := New(Params{}, 0, 0, 0)
	first, second := hash(t, h, "correct horse battery staple"), hash(t, h, "correct horse battery staple")
	form := regexp.MustCompile(
		`^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`) // 16 and 32 bytes
	for _, phc := range []string{first, second} {
		if !form.MatchString(phc) {
			t.Errorf("stored as %s", phc)
		}
		if ok, stale := matches(t, h, phc, "correct horse battery staple"); !ok || stale {
			t.Errorf("own hash: ok %v, stale %v", ok, stale)
		}
		if ok, _ := matches(t, h, phc, "correct horse battery stapler"); ok {
			t.Error("a wrong password matched")
		}
	}
	if first == second {
		t.Error("the salt is not fresh")
	}
}

// The vector is of the C reference implementation: argon2 with "password", "somesalt", -id -t 2 -k
// 65536 -p 1.
func TestVerifyHashOfTheReferenceImplementation(t *testing.T) {
	h := New(cheap, 1, 0, 0)
	const phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if ok, stale := matches(t, h, phc, "password"); !ok || !stale {
		t.Errorf("ok %v, stale %v", ok, stale)
	}
	if ok, _ := matches(t, h, phc, "passwore"); ok {
		t.Error("a wrong password matched")
	}
}

func TestU36AbsurdCostIsRefusedNotExecuted(t *testing.T) {
	h, spent := counted(cheap)
	for name, cost := range map[string]string{
		"4 GiB of memory":             "m=4194304,t=1,p=1",
		"all the memory there can be": "m=4294967295,t=1,p=1",
		"a billion passes":            "m=8,t=1000000000,p=1",
		"much of both":                "m=262144,t=5,p=1",
	} {
		phc := "$argon2id$v=19$" + cost + "$" + phcSalt + "$" + phcTag
		if _, err := parseArgon2id(phc); err != nil {
			t.Fatalf("U-36 %s: the test's own hash is malformed", name)
		}
		if ok, stale := matches(t, h, phc, "x"); ok || stale || !errors.Is(h.Accept(phc), ErrCost) {
			t.Errorf("U-36 %s: ok %v, stale %v, accepted: %v", name, ok, stale, h.Accept(phc))
		}
		if calls, work := spent(); calls != 1 || work != cheap.work() {
			t.Errorf("U-36 %s: %d derivations of %d KiB in all, want one of the configured cost", name, calls, work)
		}
	}
	rich := New(Params{MemoryKiB: 1 << 20, Time: 2, Threads: 4}, 1, 0, 0)
	if !rich.affordable(rich.params) {
		t.Error("what is configured is refused")
	}
}

// What cannot be verified does the same work as what can: that is what makes the
// times equal, and unlike times it can be counted.
func TestUnknownUserCostsTheSame(t *testing.T) {
	params := Params{MemoryKiB: 64, Time: 3, Threads: 1}
	h, spent := counted(params)
	real := hash(t, h, "correct horse battery staple")
	spent()
	for name, phc := range map[string]string{
		"a wrong password":      real,
		"an unknown user":       "",
		"a foreign absurd cost": "$2b$31$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
		"half of Django's hash": "pbkdf2_sha256$600000$salt$aGFzaA==",
		"an unknown scheme":     "$yescrypt$j9T$salt$hash",
		"plain text":            "tr0ub4dor&3",
		"the password itself":   "wrong",
		"a malformed hash":      strings.TrimSuffix(real, "A") + "!",
		"a hash with no cost":   "$argon2id$v=19$m=0,t=0,p=0$" + phcSalt + "$" + phcTag,
		"a hash of absurd cost": "$argon2id$v=19$m=4194304,t=1,p=1$" + phcSalt + "$" + phcTag,
		"half the passes": argon2Hash{Params{MemoryKiB: 96, Time: 1, Threads: 1}, []byte("saltsalt"),
			make([]byte, 32)}.String(),
		"a third of the passes": argon2Hash{Params{MemoryKiB: 64, Time: 1, Threads: 1}, []byte("saltsalt"),
			make([]byte, 32)}.String(),
		"a quarter of the memory": argon2Hash{Params{MemoryKiB: 16, Time: 3, Threads: 1}, []byte("saltsalt"),
			make([]byte, 32)}.String(),
	} {
		if ok, stale := matches(t, h, phc, "wrong"); ok || stale {
			t.Errorf("%s: ok %v, stale %v", name, ok, stale)
		}
		if _, work := spent(); work != params.work() {
			t.Errorf("%s: work of %d KiB, want %d", name, work, params.work())
		}
	}
}

func TestStale(t *testing.T) {
	now := Params{MemoryKiB: 32, Time: 2, Threads: 2}
	h := New(now, 1, 0, 0)
	of := func(p Params) string { return hash(t, New(p, 1, 0, 0), "pw") }
	for name, c := range map[string]struct {
		phc   string
		stale bool
	}{
		"the configured costs":      {of(now), false},
		"less memory":               {of(Params{16, 2, 2}), true},
		"fewer passes":              {of(Params{32, 1, 2}), true},
		"another number of threads": {of(Params{32, 2, 1}), true},
		"more of everything":        {of(Params{64, 3, 4}), true},
	} {
		if ok, stale := matches(t, h, c.phc, "pw"); !ok || stale != c.stale {
			t.Errorf("%s: ok %v, stale %v", name, ok, stale)
		}
		if ok, stale := matches(t, h, c.phc, "no"); ok || stale {
			t.Errorf("%s, wrong password: ok %v, stale %v", name, ok, stale)
		}
	}
	short := argon2Hash{Params: now, Salt: []byte("saltsalt")}
	short.Tag = argon2.IDKey([]byte("pw"), short.Salt, now.Time, now.MemoryKiB, now.Threads, 16)
	if ok, stale := matches(t, h, short.String(), "pw"); !ok || !stale {
		t.Errorf("a short salt and tag: ok %v, stale %v", ok, stale)
	}
}

func TestU06LongPasswordIsNeverHashed(t *testing.T) {
	h, spent := counted(cheap)
	phc := hash(t, h, strings.Repeat("p", MaxBytes))
	if ok, _ := matches(t, h, phc, strings.Repeat("p", MaxBytes)); !ok {
		t.Error("a password of 1 KiB does not match itself")
	}
	spent()
	var all sync.WaitGroup
	for i := range 200 {
		password := strings.Repeat("p", 1<<20)
		if i%2 == 0 {
			password = strings.Repeat("p", MaxBytes+1)
		}
		all.Go(func() {
			if _, err := h.Hash(t.Context(), password); !errors.Is(err, ErrInput) {
				t.Errorf("U-06 hash: %v", err)
			}
			if _, _, err := h.Verify(t.Context(), phc, password); !errors.Is(err, ErrInput) {
				t.Errorf("U-06 verify: %v", err)
			}
		})
	}
	all.Wait()
	if _, err := h.Hash(t.Context(), "invalid \xff UTF-8"); !errors.Is(err, ErrInput) {
		t.Errorf("invalid UTF-8: %v", err)
	}
	if calls, _ := spent(); calls != 0 || h.Stats().Started != 2 || h.Stats().Refused != 0 {
		t.Errorf("U-06 %d hashes, %+v", calls, h.Stats())
	}
}

func TestU07EveryCharacterCounts(t *testing.T) {
	h := New(cheap, 1, 0, 0)
	long := strings.Repeat("0123456789abcdef", 8) // 128
	for name, c := range map[string]struct{ password, other string }{
		"after byte 72":                         {long[:72] + "x", long[:72] + "y"},
		"the last of 128":                       {long, long[:127] + "g"},
		"the last of 1024":                      {strings.Repeat("a", 1024), strings.Repeat("a", 1023) + "b"},
		"case":                                  {"correct horse battery", "Correct horse battery"},
		"case beyond ASCII":                     {"élan vital élan vital", "Élan vital élan vital"},
		"a trailing space":                      {"correct horse battery", "correct horse battery "},
		"a leading space":                       {"correct horse battery", " correct horse battery"},
		"an inner space":                        {"correct horse battery", "correct  horse battery"},
		"what follows U+0000":                   {"correct\x00horse", "correct\x00house"},
		"a Cyrillic look-alike":                 {"correct horse battery", "c\u043errect horse battery"},
		"a zero-width space":                    {"correct horse battery", "correct\u200b horse battery"},
		"one more of the same":                  {long, long + "0"},
		"nothing at all":                        {long, ""},
		"an accent":                             {"resume resume resume", "résumé resume resume"},
		"the sharp s, which folds but is not s": {"strasse strasse strasse", "straße strasse strasse"},
	} {
		phc := hash(t, h, c.password)
		if ok, _ := matches(t, h, phc, c.password); !ok {
			t.Errorf("U-07 %s: the password itself does not match", name)
		}
		if ok, _ := matches(t, h, phc, c.other); ok {
			t.Errorf("U-07 %s: makes no difference", name)
		}
	}
}

func TestOnePasswordOnEveryKeyboard(t *testing.T) {
	h := New(cheap, 1, 0, 0)
	for name, c := range map[string]struct{ set, typed string }{
		"an accent apart":      {"cafe\u0301 au lait chaud", "caf\u00e9 au lait chaud"},
		"an accent composed":   {"caf\u00e9 au lait chaud", "cafe\u0301 au lait chaud"},
		"full-width letters":   {"correct horse", "ｃｏｒｒｅｃｔ horse"},
		"a ligature":           {"ﬁne day to work", "fine day to work"},
		"a no-break space":     {"correct horse", "correct\u00a0horse"},
		"composed Hangul":      {"\u1112\u1161\u11ab", "\ud55c"},
		"the order of accents": {"a\u0323\u0307", "a\u0307\u0323"},
	} {
		if ok, _ := matches(t, h, hash(t, h, c.set), c.typed); !ok {
			t.Errorf("%s: another password", name)
		}
	}
}

// blocking is a Hasher whose hashes take one minute of the bubble's clock.
func blocking(slots, queue int, wait time.Duration) *Hasher {
	h := New(cheap, slots, queue, wait)
	h.derive = func(_, _ []byte, _, _ uint32, _ uint8, size uint32) []byte {
		time.Sleep(time.Minute)
		return make([]byte, size)
	}
	return h
}

func TestQueueIsBoundedInLengthAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := blocking(2, 3, 90*time.Second)
		errs := make(chan error, 10)
		start := time.Now()
		for range 5 {
			go func() {
				_, err := h.Hash(t.Context(), "pw")
				errs <- err
			}()
		}
		synctest.Wait()
		if s := h.Stats(); s != (Stats{Running: 2, Waiting: 3, Started: 2}) {
			t.Fatalf("with 5 callers: %+v", s)
		}
		// The queue is full: the sixth is sent away at once.
		if _, _, err := h.Verify(t.Context(), "", "pw"); !errors.Is(err, ErrOverloaded) || time.Since(start) != 0 {
			t.Errorf("sixth caller: %v after %v", err, time.Since(start))
		}
		// Two run at once, two a minute later; the fifth would begin after two and leaves after 90
		// s.
		var refused int
		for range 5 {
			if err := <-errs; errors.Is(err, ErrOverloaded) {
				refused++
				if time.Since(start) != 90*time.Second {
					t.Errorf("refused after %v", time.Since(start))
				}
			} else if err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if s := h.Stats(); refused != 1 || s != (Stats{Started: 4, Refused: 2}) {
			t.Errorf("%d timed out, %+v", refused, s)
		}
	})
}

func TestQueueHonoursTheCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := blocking(1, 5, time.Hour)
		go h.Hash(t.Context(), "pw")
		synctest.Wait()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := h.Hash(ctx, "pw"); !errors.Is(err, ErrOverloaded) || errors.Is(err, context.DeadlineExceeded) ||
			time.Since(start) != time.Second {
			t.Errorf("deadline: %v after %v", err, time.Since(start))
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, _, err := h.Verify(gone, "", "pw"); !errors.Is(err, ErrOverloaded) {
			t.Errorf("a caller who left: %v", err)
		}
		synctest.Wait()
		if s := h.Stats(); s.Started != 1 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour)
		if _, _, err := h.Verify(gone, "", "pw"); !errors.Is(err, ErrOverloaded) || h.Stats().Started != 1 {
			t.Errorf("a caller who left, with a free slot: %v, %+v", err, h.Stats())
		}
	})
}

func TestQueueIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := blocking(1, 50, 24*time.Hour)
		var mu sync.Mutex
		var order []int
		for i := range 30 {
			go func() {
				if _, err := h.Hash(t.Context(), "pw"); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
			}()
			synctest.Wait() // queued before the next one comes
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(order) != 30 || !slices.IsSorted(order) {
			t.Errorf("served in order %v", order)
		}
	})
}

func TestNewHasherRefusesWhatArgon2WouldChange(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("7 KiB for one thread was accepted")
		}
	}()
	New(Params{MemoryKiB: 7, Time: 1, Threads: 1}, 1, 1, time.Second)
}
