package jose

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func newKEK(t testing.TB) KEK {
	t.Helper()
	kek, err := ParseKEK(NewKEK())
	if err != nil {
		t.Fatal(err)
	}
	return kek
}

func TestSealedIsOpenedByItsKEKUnderItsName(t *testing.T) {
	old, current := newKEK(t), newKEK(t)
	for _, plaintext := range [][]byte{[]byte("secret"), {0}, bytes.Repeat([]byte{0}, 6<<10)} {
		sealed, err := Seal(plaintext, old, "kid-1")
		if err != nil {
			t.Fatal(err)
		}
		if under, err := SealedUnder(sealed); err != nil || under != old.ID {
			t.Errorf("sealed under %q, %v", under, err)
		}
		if got, err := Open(sealed, "kid-1", current, old); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("opened %q, %v", got, err)
		}
		if _, err := Open(sealed, "kid-1", current); !errors.Is(err, ErrNoKEK) {
			t.Errorf("without its KEK: %v", err)
		}
		if _, err := Open(sealed, "kid-1"); !errors.Is(err, ErrNoKEK) {
			t.Errorf("without any KEK: %v", err)
		}
		if got, err := Open(sealed, "kid-2", old); err == nil || errors.Is(err, ErrNoKEK) {
			t.Errorf("in another row's place: %q, %v", got, err)
		}
		again, err := Seal(plaintext, old, "kid-1")
		if err != nil || again == sealed {
			t.Errorf("sealed twice to the same text, %v", err)
		}
	}
}

func TestOpenRefusesWhatSealDidNotMake(t *testing.T) {
	kek := newKEK(t)
	sealed, err := Seal([]byte("secret"), kek, "k")
	if err != nil {
		t.Fatal(err)
	}
	part := strings.Split(sealed, ".")
	header := func(json string) string { return strings.Join(append([]string{b64(json)}, part[1:]...), ".") }
	genuine := `{"alg":"dir","enc":"A256GCM","kid":"` + kek.ID + `","name":"k"`
	tamper := func(i int) string {
		p := append([]string{}, part...)
		p[i] = "A" + p[i][1:]
		if p[i] == part[i] {
			p[i] = "B" + p[i][1:]
		}
		return strings.Join(p, ".")
	}
	for name, in := range map[string]string{
		"nothing": "", "dots": "....", "a JWS": part[0] + "." + part[3] + "." + part[4], "six segments": sealed + ".AA",
		"a tampered IV": tamper(2), "a tampered ciphertext": tamper(3), "a tampered tag": tamper(4),
		"another spelling of the same header": header(genuine + ` }`),
		"zip":                                 header(genuine + `,"zip":"DEF"}`),
		"crit":                                header(genuine + `,"crit":["exp"],"exp":1}`),
		"PBES2 with endless rounds": header(strings.Replace(genuine, "dir", "PBES2-HS256+A128KW", 1) +
			`,"p2s":"AAAA","p2c":2147483647}`),
		"another key management": header(strings.Replace(genuine, "dir", "A256KW", 1) + `}`),
		"another encryption":     header(strings.Replace(genuine, "A256GCM", "A128CBC-HS256", 1) + `}`),
		"a member twice":         header(genuine + `,"kid":"x"}`),
		"an encrypted key":       part[0] + ".AA." + strings.Join(part[2:], "."),
		"a short IV":             strings.Join([]string{part[0], "", part[2][:8], part[3], part[4]}, "."),
		"a short tag":            strings.Join([]string{part[0], "", part[2], part[3], part[4][:8]}, "."),
		"a line break":           part[0] + "\n" + sealed[len(part[0]):],
		"too much": part[0] + ".." + part[2] + "." + strings.Repeat("A", maxSealedBytes) +
			"." + part[4],
		"JSON serialization": `{"protected":"` + part[0] + `","iv":"` + part[2] + `","ciphertext":"` +
			part[3] + `","tag":"` + part[4] + `"}`,
	} {
		if got, err := Open(in, "k", kek); err == nil || got != nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := Seal(nil, kek, "k"); err == nil {
		t.Error("sealed nothing")
	}
	if _, err := Seal([]byte("x"), KEK{}, "k"); err == nil {
		t.Error("sealed without a KEK")
	}
	if _, err := Seal([]byte("x"), kek, ""); err == nil {
		t.Error("sealed without a name")
	}
	if _, err := Seal(make([]byte, maxSealedBytes), kek, "k"); err == nil {
		t.Error("sealed more than can be opened")
	}
}

func TestKEKText(t *testing.T) {
	text := NewKEK()
	a, err := ParseKEK(text)
	if err != nil || len(text) != 43 || a.ID == "" {
		t.Fatalf("%v, %v", a, err)
	}
	if b, _ := ParseKEK(text); b.ID != a.ID || !bytes.Equal(b.key(), a.key()) {
		t.Error("the same text makes another KEK")
	}
	if newKEK(t).ID == a.ID {
		t.Error("two KEKs share an id")
	}
	for _, bad := range []string{"", text[:42], text + "A", text + "=", text[:42] + "\n" + text[42:],
		strings.Repeat("!", 43), text[:42] + "/"} {
		if k, err := ParseKEK(bad); err == nil || k.ID != "" || len(bad) > 1 && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v, %v", bad, k, err)
		}
	}
}

func TestAKEKIsNeverPrinted(t *testing.T) {
	kek := KEK{ID: "name", key: func() []byte { return []byte{0xab, 0xcd, 171} }}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q"} {
		for _, v := range []any{kek, &kek, []KEK{kek}, struct{ K KEK }{kek}, struct{ k KEK }{kek},
			struct{ k []KEK }{[]KEK{kek}}} {
			if out := fmt.Sprintf(verb, v); strings.Contains(out, "171") || strings.Contains(strings.ToLower(out), "abcd") ||
				strings.Contains(out, "0xab") {
				t.Errorf("%s of %T: %s", verb, v, out)
			}
		}
	}
}
