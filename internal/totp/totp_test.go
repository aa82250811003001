package totp

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// seed returns the secret of RFC 6238's appendix B: as many bytes as the hash has.
func seed(size int) []byte { return []byte(strings.Repeat("1234567890", 7)[:size]) }

// ascii20 is the key of the tests that are about no parameter.
var ascii20 = Key{Secret: seed(20), Algorithm: "SHA1", Digits: 6, Period: 30}

// code returns the code of a counter.
func code(t *testing.T, k Key, counter int64) string {
	t.Helper()
	text, err := k.at(counter)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func unix(seconds int64) time.Time { return time.Unix(seconds, 0) }

func TestRFC6238AppendixB(t *testing.T) {
	keys := map[string]Key{
		"SHA1":   {Secret: seed(20), Algorithm: "SHA1", Digits: 8, Period: 30},
		"SHA256": {Secret: seed(32), Algorithm: "SHA256", Digits: 8, Period: 30},
		"SHA512": {Secret: seed(64), Algorithm: "SHA512", Digits: 8, Period: 30},
	}
	for _, v := range []struct {
		at                   int64
		sha1, sha256, sha512 string
	}{
		{59, "94287082", "46119246", "90693936"},
		{1111111109, "07081804", "68084774", "25091201"},
		{1111111111, "14050471", "67062674", "99943326"},
		{1234567890, "89005924", "91819424", "93441116"},
		{2000000000, "69279037", "90698825", "38618901"},
		{20000000000, "65353130", "77737706", "47863826"},
	} {
		codes := map[string]string{"SHA1": v.sha1, "SHA256": v.sha256, "SHA512": v.sha512}
		for name, k := range keys {
			for other, text := range codes {
				counter, ok := k.Check(text, unix(v.at), -1)
				if want := other == name; ok != want || ok && counter != v.at/30 {
					t.Errorf("%s of %s at %d: %d, %t", text, name, v.at, counter, ok)
				}
			}
		}
	}
}

func TestRFC4226AppendixD(t *testing.T) {
	for counter, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
		"399871", "520489"} {
		got, ok := ascii20.Check(want, unix(int64(counter)*30), -1)
		if !ok || got != int64(counter) {
			t.Errorf("%s: %d, %t; want %d", want, got, ok, counter)
		}
	}
}

// The code of one step is right from the beginning of the step before to the end of the step after.
func TestOneStepEitherWay(t *testing.T) {
	for _, period := range []int{15, 29, 30, 60, 300} {
		for _, digits := range []int{6, 7, 8} {
			for _, algorithm := range []string{"SHA1", "SHA256", "SHA512"} {
				k := Key{Secret: seed(64), Algorithm: algorithm, Digits: digits, Period: period}
				const counter = 1000
				text, p := code(t, k, counter), int64(period)
				for _, row := range []struct {
					at   int64
					want bool
				}{
					{(counter-1)*p - 1, false}, {(counter - 1) * p, true}, {counter * p, true}, {(counter+1)*p - 1, true},
					{(counter+2)*p - 1, true}, {(counter + 2) * p, false}, {0, false}, {-counter * p, false},
				} {
					got, ok := k.Check(text, unix(row.at), -1)
					if ok != row.want || ok && got != counter {
						t.Errorf("%v: code of %d at %d: %d, %t", k, counter, row.at, got, ok)
					}
				}
			}
		}
	}
}

func TestNoCounterUpToTheLast(t *testing.T) {
	const current = 50_000_000
	now := unix(current*30 + 7)
	for step := int64(current - 1); step <= current+1; step++ {
		for last := int64(current - 3); last <= current+3; last++ {
			got, ok := ascii20.Check(code(t, ascii20, step), now, last)
			if want := step > last; ok != want || ok && got != step {
				t.Errorf("the code of %+d after %+d: %d, %t", step-current, last-current, got, ok)
			}
		}
		if _, ok := ascii20.Check(code(t, ascii20, step), now, math.MaxInt64); ok {
			t.Error("the last counter of all did not hold")
		}
	}
}

// Two neighbouring steps have the same code once in a million. The earlier counter would leave the
// code good for the later one.
func TestACodeOfTwoStepsIsUsedOnce(t *testing.T) {
	const first = 910737 // the first such step of this key
	text, now := code(t, ascii20, first), unix(first*30)
	if text != code(t, ascii20, first+1) {
		t.Fatal("the two steps have different codes")
	}
	counter, ok := ascii20.Check(text, now, first-1)
	if !ok || counter != first+1 {
		t.Fatalf("%d, %t", counter, ok)
	}
	if _, ok := ascii20.Check(text, now, counter); ok {
		t.Error("the code was right twice")
	}
}

func TestCodesAsTheyAreTyped(t *testing.T) {
	k := ascii20
	k.Digits = 8
	now := unix(1111111109) // 07081804
	for typed, want := range map[string]bool{
		"07081804": true, "0708 1804": true, " 07 08 18 04\n": true, "0708\u00a01804": true, "0708\u202f1804": true,
		"\t07081804\r\n": true,

		"": false, " ": false, "7081804": false, "007081804": false, "070818": false, "081804": false, "0708180": false,
		"070818040": false, "0708-1804": false, "+7081804": false, "0x708180": false, "07081804.": false, "7081804 ": false,
		"٠٧٠٨١٨٠٤": false, "０７０８１８０４": false, "𝟎𝟕𝟎𝟖𝟏𝟖𝟎𝟒": false, "0708180٤": false, "07081804\x00": false,
		// The lowest byte of these digits is an ASCII digit.
		"\U00010d30\U00010d37\U00010d30\U00010d38\U00010d31\U00010d38\U00010d30\U00010d34": false,
		"0708\u200b1804": false, "0708\xff1804": false, "O7O818O4": false, "07081805": false,
		"07081804" + strings.Repeat(" ", 1<<20): false, strings.Repeat("07081804", 1<<17): false,
	} {
		if _, ok := k.Check(typed, now, -1); ok != want {
			t.Errorf("%.40q: %t, want %t", typed, ok, want)
		}
	}
	six := ascii20
	if _, ok := six.Check("07081804", now, -1); ok {
		t.Error("a longer code passed for its end")
	}
	if _, ok := six.Check("081804", now, -1); !ok {
		t.Error("a leading zero was lost")
	}
}

// The whole range of times in which the server may run, and times that no clock should show.
func TestFarTimes(t *testing.T) {
	for name, at := range map[string]time.Time{
		"1970": unix(0), "1970, second step": unix(30), "2038": unix(math.MaxInt32), "after 2038": unix(math.MaxInt32 + 1),
		"2106": unix(math.MaxUint32 + 1), "9999": time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		"another zone": time.Date(2026, 3, 29, 2, 30, 0, 0, time.FixedZone("", 5*3600+45*60)),
	} {
		for _, period := range []int{15, 30, 300} {
			k := Key{Secret: seed(20), Algorithm: "SHA1", Digits: 6, Period: period}
			counter := at.Unix() / int64(period)
			if got, ok := k.Check(code(t, k, counter), at, -1); !ok || got != counter {
				t.Errorf("%s, %d s: %d, %t", name, period, got, ok)
			}
		}
	}
	// Before 1970 there is no counter, neither in the first step nor before it.
	for _, at := range []int64{-1, -29, -30, -31, math.MinInt32, -62135596800} {
		for step := int64(-2); step <= 1; step++ {
			if got, ok := ascii20.Check(code(t, ascii20, step), unix(at), math.MinInt64); ok {
				t.Errorf("at %d the code of %d was taken for that of %d", at, step, got)
			}
		}
	}
	if got, ok := ascii20.Check(code(t, ascii20, -1), unix(0), math.MinInt64); ok {
		t.Errorf("the step before the first was taken, as %d", got)
	}
}

// A key that was not checked before it was stored lets nobody in, whatever its codes are.
func TestKeysThatCheckNothing(t *testing.T) {
	for name, change := range map[string]func(*Key){
		"no key":            func(k *Key) { *k = Key{} },
		"no secret":         func(k *Key) { k.Secret = nil },
		"a short secret":    func(k *Key) { k.Secret = seed(9) },
		"a long secret":     func(k *Key) { k.Secret = make([]byte, 129) },
		"no algorithm":      func(k *Key) { k.Algorithm = "" },
		"MD5":               func(k *Key) { k.Algorithm = "MD5" },
		"another spelling":  func(k *Key) { k.Algorithm = "sha1" },
		"no digits":         func(k *Key) { k.Digits = 0 },
		"five digits":       func(k *Key) { k.Digits = 5 },
		"nine digits":       func(k *Key) { k.Digits = 9 },
		"negative digits":   func(k *Key) { k.Digits = -6 },
		"no period":         func(k *Key) { k.Period = 0 },
		"a short period":    func(k *Key) { k.Period = 14 },
		"a long period":     func(k *Key) { k.Period = 301 },
		"a negative period": func(k *Key) { k.Period = -30 },
	} {
		k := ascii20
		change(&k)
		if err := k.Validate(); err == nil || strings.Contains(err.Error(), string(seed(9))) {
			t.Errorf("%s: %v", name, err)
		}
		now := unix(30 * 1000)
		for _, typed := range []string{"", "0", "000000", code(t, ascii20, 1000), fmt.Sprintf("%0*d", max(k.Digits, 0), 0)} {
			if _, ok := k.Check(typed, now, -1); ok {
				t.Errorf("%s: %q was right", name, typed)
			}
		}
	}
	for _, k := range []Key{ascii20, {Secret: seed(10), Algorithm: "SHA512", Digits: 8, Period: 15},
		{Secret: make([]byte, 128), Algorithm: "SHA256", Digits: 7, Period: 300}} {
		if err := k.Validate(); err != nil {
			t.Errorf("%v: %v", k, err)
		}
	}
}

func TestNewKeys(t *testing.T) {
	a, err := New(rand.Reader)
	if err != nil || a.Validate() != nil || len(a.Secret) != 20 || a.Algorithm != "SHA1" || a.Digits != 6 || a.Period != 30 {
		t.Errorf("%v %d, %v", a, len(a.Secret), err)
	}
	if b, err := New(rand.Reader); err != nil || string(a.Secret) == string(b.Secret) {
		t.Errorf("two keys have one secret (%v)", err)
	}
	if k, err := New(strings.NewReader("too short")); err == nil || k.Secret != nil {
		t.Errorf("a key of little randomness: %d bytes", len(k.Secret))
	}
	broken := errors.New("no randomness")
	if _, err := New(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestAKeyIsTypedAsBase32(t *testing.T) {
	if got := ascii20.Text(); got != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" {
		t.Error(got)
	}
	if got := ascii20.Grouped(); got != "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ" {
		t.Error(got)
	}
	// Bytes that do not fill the last group of base32 make a text without padding.
	k := ascii20
	k.Secret = seed(16)
	if got := k.Text(); len(got) != 26 || strings.Contains(got, "=") {
		t.Error(got)
	}
	if _, ok := k.Check(code(t, k, 5), unix(150), -1); !ok {
		t.Error("no code")
	}
}

func TestNoFormShowsTheSecret(t *testing.T) {
	type row struct{ K Key }
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{ascii20, &ascii20, row{ascii20}, []Key{ascii20}} {
			text := fmt.Sprintf(verb, v)
			if !strings.Contains(text, "TOTP key SHA1 6/30") || strings.Contains(text, "123") || strings.Contains(text, "49 50") {
				t.Errorf("%s: %s", verb, text)
			}
		}
	}
}
