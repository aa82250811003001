package statuslist_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/statuslist"
)

// The examples of section 4.1 of the specification.
func TestExamplesOfTheSpecification(t *testing.T) {
	for _, c := range []struct {
		bits       int
		compressed string
		statuses   []byte
	}{
		{1, "78dadbb918000217015d", []byte{1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1}},
		{2, "78da3be9f2130003df0207", []byte{1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3}},
	} {
		raw, _ := hex.DecodeString(c.compressed)
		places, err := statuslist.List{Bits: c.bits, Compressed: base64.RawURLEncoding.EncodeToString(raw)}.Decode()
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range c.statuses {
			if got, ok := places.Status(uint64(i)); got != want || !ok {
				t.Errorf("%d bits: the status of %d is %d, %v; want %d", c.bits, i, got, ok, want)
			}
		}
		if _, ok := places.Status(uint64(len(c.statuses))); ok {
			t.Errorf("%d bits: there is a place behind the last one", c.bits)
		}
	}
}

func TestPlacesComeBack(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	places := statuslist.New(statuslist.Size)
	places.RevokeBelow(13)
	revoked := map[uint64]bool{}
	for range 1000 {
		place := random.IntN(statuslist.Size)
		places.Revoke(place)
		revoked[uint64(place)] = true
	}
	list, err := places.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := list.Decode()
	if err != nil || !back.Equal(places) || back.Bytes() != statuslist.Size/8 {
		t.Fatalf("%v: %d bytes", err, back.Bytes())
	}
	for place := range uint64(statuslist.Size) {
		if got, _ := back.Status(place); (got == 1) != (place < 13 || revoked[place]) {
			t.Fatalf("the status of %d is %d", place, got)
		}
	}
}

func TestRestores(t *testing.T) {
	before, after := statuslist.New(16), statuslist.New(16)
	if before.Restores(after) {
		t.Error("nothing was revoked")
	}
	after.Revoke(9)
	if before.Restores(after) || !after.Restores(before) {
		t.Error("place 9 is revoked in the second list only")
	}
	if !before.Restores(statuslist.New(8)) {
		t.Error("a shorter list lacks places")
	}
	wide := func(statuses string) statuslist.Places {
		p, err := statuslist.List{Bits: 8, Compressed: compressed(t, []byte(statuses))}.Decode()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if wide("\x02\x00").Restores(wide("\x01\x00")) || !wide("\x00\x02").Restores(wide("\x01\x00")) {
		t.Error("lists of 8 bits")
	}
	if !wide("\x00\x00").Restores(statuslist.New(64)) || !statuslist.New(16).Restores(wide("\x00\x00")) {
		t.Error("lists whose places have another width cannot be compared")
	}
}

func compressed(t *testing.T, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b.Bytes())
}

func TestHostileLists(t *testing.T) {
	good := compressed(t, make([]byte, 16))
	for _, c := range []struct {
		name, want string
		list       statuslist.List
	}{
		{"no bits", "0 bits", statuslist.List{Compressed: good}},
		{"three bits", "3 bits", statuslist.List{Bits: 3, Compressed: good}},
		{"negative bits", "-1 bits", statuslist.List{Bits: -1, Compressed: good}},
		{"sixteen bits", "16 bits", statuslist.List{Bits: 16, Compressed: good}},
		{"padding", "base64url", statuslist.List{Bits: 1, Compressed: good + "="}},
		{"a line break", "base64url", statuslist.List{Bits: 1, Compressed: good[:4] + "\n" + good[4:]}},
		{"nothing", "zlib", statuslist.List{Bits: 1}},
		{"not compressed", "zlib", statuslist.List{Bits: 1, Compressed: "AAAAAAAA"}},
		{"cut off", "damaged", statuslist.List{Bits: 1, Compressed: good[:len(good)-4]}},
		{"another checksum", "damaged", statuslist.List{Bits: 1, Compressed: good[:len(good)-2] + "AA"}},
		{"an empty list", "empty", statuslist.List{Bits: 1, Compressed: compressed(t, nil)}},
		{"one byte too long", "longer", statuslist.List{Bits: 1, Compressed: compressed(t, make([]byte, statuslist.MaxBytes+1))}},
		{"a bomb of 256 MiB", "longer", statuslist.List{Bits: 8, Compressed: compressed(t, make([]byte, 256<<20))}},
	} {
		if _, err := c.list.Decode(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := (statuslist.List{Bits: 1, Compressed: compressed(t, make([]byte, statuslist.MaxBytes))}).Decode(); err != nil {
		t.Errorf("the longest list: %v", err)
	}
}

// A list of a million places, one in a hundred of which is revoked.
func BenchmarkEncodeAMillion(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	places := statuslist.New(statuslist.Size)
	for range statuslist.Size / 100 {
		places.Revoke(random.IntN(statuslist.Size))
	}
	var list statuslist.List
	for b.Loop() {
		list, _ = places.Encode()
	}
	b.ReportMetric(float64(len(list.Compressed)), "characters")
}
