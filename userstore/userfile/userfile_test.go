package userfile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/signet-id/signet/userstore"
)

// everything has each member set, so that a forgotten member shows.
var everything = userstore.User{
	ID: "0190a8a4-6d1f-7c3e-9b8a-5f4e3d2c1b0a", Email: "Zoë@X.test", EmailVerified: true, Username: "zoë",
	PasswordHash: "$2b$…",
	Claims: userstore.Claims{
		Name: "Zoë <b>&amp; \"O'Hara\"", GivenName: "=cmd|'/c calc'!A1", FamilyName: "'apostrophe", MiddleName: "''",
		Nickname: "\tz", Profile: "https://x.test/z",
		Picture: "https://x.test/z.png", Website: "@sum", Gender: "-", Birthdate: "0000-02-29", Zoneinfo: "Asia/Kathmandu",
		Locale:      "ne-NP",
		PhoneNumber: "+977 1 5550100", PhoneNumberVerified: true,
		Address: &userstore.Address{Formatted: "1\n2", StreetAddress: "日本語,", Locality: "🙂", Region: `\`, PostalCode: "＝1",
			Country: "NP"},
	},
	IsActive: true, IsStaff: true, Roles: []string{"admin", "editor"},
	CreatedAt: time.Date(2012, 1, 2, 3, 4, 5, 678901000, time.UTC), UpdatedAt: time.Date(2013, 1, 2, 3, 4, 5, 0, time.UTC),
	LastLoginAt: time.Date(2014, 1, 2, 3, 4, 5, 0, time.UTC),
}

func read(t *testing.T, text string, format Format) ([]userstore.User, []string) {
	t.Helper()
	users, _, err := Open(strings.NewReader(text), format)
	if err != nil {
		t.Fatal(err)
	}
	var list []userstore.User
	var bad []string
	for {
		line, u, err := users.Next()
		var e *LineError
		switch {
		case err == io.EOF:
			return list, bad
		case errors.As(err, &e):
			bad = append(bad, fmt.Sprintf("%d: %s", line, e.Reason))
		case err != nil:
			t.Fatal(err)
		default:
			list = append(list, u.User)
		}
	}
}

func written(tb testing.TB, format Format, users ...userstore.User) string {
	tb.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, format)
	for _, u := range users {
		if err := w.Write(u); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	bare := userstore.User{ID: "0000000000000000", Email: "b@x.test"}
	for _, format := range []Format{JSONLines, CSV} {
		got, bad := read(t, written(t, format, everything, bare), "")
		for i := range got { // by the rules of accounts, an empty address is none
			if a := got[i].Claims.Address; a != nil && *a == (userstore.Address{}) {
				got[i].Claims.Address = nil
			}
		}
		if want := []userstore.User{everything, bare}; !reflect.DeepEqual(got, want) || bad != nil {
			t.Errorf("%s:\n got %+v, %q\nwant %+v", format, got, bad, want)
		}
	}
}

// A member that only one format holds would be lost on the way.
func TestBothFormatsHoldEveryMember(t *testing.T) {
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			walk(path, v.Elem())
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				break
			}
			for i := range v.NumField() {
				walk(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
			return
		}
		switch path {
		case ".EmailKey", ".UsernameKey", ".Version", ".SecondFactor", ".FactorVersion", ".FactorsVouched": // computed
			return
		}
		if v.IsZero() {
			t.Errorf("%s is not set in this test's account", path)
		}
	}
	walk("", reflect.ValueOf(everything))
}

func TestS06NoCellIsAFormula(t *testing.T) {
	u := everything
	for _, cell := range []string{"=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠1", "'=1",
		"''", "plain", "a=1", ""} {
		u.Claims.Nickname = cell
		text := written(t, CSV, u)
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range rows[1] {
			if strings.IndexAny(c, "=+-@\t\r\n＝＋－＠") == 0 {
				t.Errorf("S-06 %q is written %q in the column %s", cell, c, rows[0][i])
			}
		}
		if got, bad := read(t, text, CSV); len(got) != 1 || got[0].Claims.Nickname != cell || bad != nil {
			t.Errorf("S-06 %q comes back as %+v, %q", cell, got, bad)
		}
	}
}

func TestFilesOfDjango(t *testing.T) {
	const header = "id,password,last_login,is_superuser,username,first_name,last_name,email,is_staff,is_active,date_joined\n"
	joined := time.Date(2020, 2, 29, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		line string
		want userstore.User
	}{
		"of psql": {`1,h,2024-05-06 07:08:09.1+05:30,t,ada,Ada,L,a@x.test,f,t,2020-02-29 13:00:00+01`,
			userstore.User{PasswordHash: "h", LastLoginAt: time.Date(2024, 5, 6, 1, 38, 9, 1e8, time.UTC),
				Roles: []string{"admin"}, Username: "ada",
				Claims: userstore.Claims{GivenName: "Ada", FamilyName: "L"}, Email: "a@x.test", IsActive: true, CreatedAt: joined}},
		"of sqlite3": {`1,h,,0,ada,,,a@x.test,1,0,"2020-02-29 12:00:00"`,
			userstore.User{PasswordHash: "h", Username: "ada", Email: "a@x.test", IsStaff: true, CreatedAt: joined}},
		"of Python": {`1,h,,False,ada,,,a@x.test,True,True,2020-02-29T12:00:00+00:00`,
			userstore.User{PasswordHash: "h", Username: "ada", Email: "a@x.test", IsStaff: true, IsActive: true,
				CreatedAt: joined}},
		"of mysql": {`1,h,\N,0,ada,,,a@x.test,0,1,2020-02-29 12:00:00.000000`,
			userstore.User{PasswordHash: "h", Username: "ada", Email: "a@x.test", IsActive: true, CreatedAt: joined}},
		"with the address for a name": {`1,h,,0,A@X.test,,,a@x.test,0,1,`,
			userstore.User{PasswordHash: "h", Email: "a@x.test", IsActive: true}},
		"with another address": {`1,h,,0,b@x.test,,,a@x.test,0,1,`,
			userstore.User{PasswordHash: "h", Username: "b@x.test", Email: "a@x.test", IsActive: true}},
		"with an apostrophe": {`1,h,,0,ada,'t Hart,,a@x.test,0,1,`, userstore.User{PasswordHash: "h",
			Username: "ada", Claims: userstore.Claims{GivenName: "'t Hart"}, Email: "a@x.test", IsActive: true}},
	} {
		for start, text := range map[string]string{"": header + c.line, "with a byte order mark": "\ufeff" + header + c.line,
			"with CRLF": strings.ReplaceAll(header, "\n", "\r\n") + c.line + "\r\n"} {
			if got, bad := read(t, text, ""); len(got) != 1 || !reflect.DeepEqual(got[0], c.want) || bad != nil {
				t.Errorf("%s %s:\n got %+v, %q\nwant %+v", name, start, got, bad, c.want)
			}
		}
	}
}

func TestLongLinesAreRefusedAndNotKept(t *testing.T) {
	good := `{"email":"a@x.test"}` + "\n"
	text := good + `{"email":"` + strings.Repeat("x", 8*maxUserLine) + "\"}\n\n  \n" + good + strings.TrimSpace(good)
	got, bad := read(t, text, "")
	if len(got) != 3 || len(bad) != 1 || !strings.HasPrefix(bad[0], "2: it is longer") {
		t.Errorf("%d accounts, %q", len(got), bad)
	}
}

func FuzzUserFile(f *testing.F) {
	f.Add(written(f, CSV, everything))
	f.Add(written(f, JSONLines, everything))
	f.Add("id,email\n\"1,\n2,b\n")
	f.Add(`{"email":"a","address":{"country":"NZ"},"created_at":"2020-01-01T00:00:00Z"}`)
	f.Add("id,email,key,step,t0,digits,confirmed\n1,b,3132333435363738393031,30,0,6,t\n1,b,x,30,0,6,t\n")
	f.Add(`{"email":"a","credentials":[{"type":"otp","secretData":"{\"value\":\"12345678901\"}"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		users, _, err := Open(strings.NewReader(text), "")
		if err != nil {
			return
		}
		for calls := 0; ; calls++ {
			if calls > len(text)+1 {
				t.Fatal("it never ends")
			}
			_, u, err := users.Next()
			var bad *LineError
			if errors.As(err, &bad) {
				continue
			}
			if err != nil {
				return
			}
			if !utf8.ValidString(text) {
				continue // JSON cannot hold the text; the rules of accounts refuse it
			}
			line, err := encodeRecord(u.User)
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := parseRecord(line)
			if err == nil && (decoded.Email != u.Email || decoded.PasswordHash != u.PasswordHash ||
				decoded.IsActive != u.IsActive || !slices.Equal(decoded.Roles, u.Roles)) {
				t.Errorf("%+v came back as %+v", u, decoded)
			}
		}
	})
}

// People read exports in a terminal. Characters that a terminal obeys are escaped in JSON, and
// replaced in CSV that is written for a terminal. Files of either format are read unchanged.
func TestNothingThatATerminalObeys(t *testing.T) {
	hostile := everything
	hostile.Claims.Name = "a\x1b[2J\u009b31m\u202eb\u2028c\x7f"
	for _, format := range []Format{JSONLines, CSV} {
		text := written(t, format, hostile)
		if format == JSONLines && strings.ContainsAny(text, "\x1b\u009b\u202e\u2028\x7f") {
			t.Errorf("%q", text)
		}
		if users, bad := read(t, text, format); bad != nil || len(users) != 1 || users[0].Claims.Name != hostile.Claims.Name {
			t.Errorf("%s: %+v %q", format, users, bad)
		}
	}
	var out bytes.Buffer
	w := NewWriter(&out, CSV)
	w.ForTerminal = true
	if err := errors.Join(w.Write(hostile), w.Flush()); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.ContainsAny(text, "\x1b\u009b\u202e\u2028\x7f\r") || strings.Count(text, "\n") != 2 ||
		!strings.Contains(text, "a\ufffd[2J\ufffd31m") {
		t.Errorf("%q", text)
	}
}
