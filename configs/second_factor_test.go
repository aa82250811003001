package configs

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSecondFactorPolicy(t *testing.T) {
	for value, fault := range map[string]string{
		"off":      "",
		"optional": "",
		"Required": `"Required" is not one of off, optional, admins, required`,
		"true":     `"true" is not one of`,
		"admin":    `"admin" is not one of`,
		"":         `"" is not one of`,
	} {
		c, _, err := Load(Input{File: write(t, ""), Env: []string{"SIGNET_ACCOUNTS_SECOND_FACTOR=" + value}})
		switch {
		case fault == "" && (err != nil || c.Accounts.SecondFactor != value):
			t.Errorf("%q: %q, %v", value, c.Accounts.SecondFactor, err)
		case fault != "" && (err == nil || !strings.Contains(err.Error(), fault) ||
			!strings.Contains(err.Error(), "accounts.second_factor (SIGNET_ACCOUNTS_SECOND_FACTOR)")):
			t.Errorf("%q: %v", value, err)
		}
	}
	if c := Default(); c.Accounts.SecondFactor != "optional" {
		t.Errorf("the default is %q", c.Accounts.SecondFactor)
	}
}

func TestTrustedBrowsers(t *testing.T) {
	for value, want := range map[string]struct {
		holds time.Duration
		fault string
	}{
		"":        {720 * time.Hour, ""},
		"0":       {0, ""},
		"0s":      {0, ""},
		"1s":      {time.Second, ""},
		"8760h":   {8760 * time.Hour, ""},
		"\"12h\"": {12 * time.Hour, ""},
		"8761h":   {0, "8761h is too long; give a duration between 1s and 8760h, or 0 to trust no browser"},
		"-1h":     {0, "-1h is too short"},
		"1ms":     {0, "1ms is too short"},
		"30d":     {0, "write hours, here 720h"},
		"30":      {0, "write a duration such as 30s"},
		"false":   {0, "not a duration"},
		"[720h]":  {0, "not a duration"},
	} {
		file := ""
		if value != "" {
			file = "sessions: {trusted_browser: " + value + "}\n"
		}
		c, _, err := Load(Input{File: write(t, file)})
		switch {
		case want.fault == "" && (err != nil || c.Sessions.TrustedBrowser != want.holds):
			t.Errorf("%s: %s, %v", value, c.Sessions.TrustedBrowser, err)
		case want.fault != "" && (err == nil || !strings.Contains(err.Error(), want.fault) ||
			!strings.Contains(err.Error(), "sessions.trusted_browser")):
			t.Errorf("%s: %v", value, err)
		}
	}
}

// An origin at which no browser would use a passkey is refused with what to do.
func TestPasskeyOrigins(t *testing.T) {
	many := func(n int, form string) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf(form, i))
		}
		return list
	}
	const id = "https://id.example.com"
	for name, row := range map[string]struct {
		issuer  string
		origins []string
		faults  []string // of each a part, in order
	}{
		"nothing":                     {id, nil, nil},
		"nothing at an address":       {"http://127.0.0.1:8080", nil, nil},
		"apps beside the issuer":      {id, []string{"https://app.example.com", "https://example.com:8443"}, nil},
		"the issuer's own":            {id, []string{id, "https://app.example.com"}, nil},
		"apps of other domains":       {id, []string{"https://example.de", "https://a.example.co.uk", "https://b.test"}, nil},
		"five labels":                 {id, append(many(5, "https://a%d.test"), "https://a1.x", "https://x.a2.uk"), nil},
		"fifty of one label":          {id, many(50, "https://app%d.example.com"), nil},
		"localhost at localhost":      {"http://localhost:8080", []string{"http://localhost:3000", "https://localhost"}, nil},
		"localhost, the default":      {"", []string{"http://localhost:3000", "http://app.localhost:3000"}, nil},
		"a name under one word":       {"https://sso", []string{"https://app.sso", "https://sso:8443"}, nil},
		"a name of a private network": {"https://sso.corp.internal", []string{"https://wiki.corp.internal"}, nil},
		"a hosted domain":             {id, []string{"https://shop.github.io"}, nil},
		"an issuer with a path":       {id + "/p", []string{"https://app.example.com"}, nil},

		"an issuer that is an address": {"http://127.0.0.1:8080", []string{"http://localhost:3000"},
			[]string{"is of no use with the issuer http://127.0.0.1:8080: its host is an address"}},
		"an issuer that is an IPv6 address": {"https://[2001:db8::1]", []string{"https://app.example.com"},
			[]string{"its host is an address"}},
		"in clear": {id, []string{"http://app.example.com", "http://app.example.com:3000"},
			[]string{`write "https://app.example.com"`, `write "https://app.example.com:3000"`}},
		"addresses": {id, []string{"https://192.0.2.1", "http://127.0.0.1:3000", "https://[::1]:3000"},
			[]string{`"https://192.0.2.1" is an address`, `"http://127.0.0.1:3000" is an address`, "[::1]"}},
		"localhost at a public issuer": {id, []string{"http://localhost:3000"},
			[]string{`"http://localhost:3000" has no registrable domain, such as example.com, ` +
				"and no browser uses passkeys of id.example.com there"}},
		"one word, a public suffix, a dot at the end": {id,
			[]string{"https://intranet", "https://co.uk", "https://github.io", "https://app.example.com."},
			[]string{`"https://intranet" has no`, `"https://co.uk" has no`, `"https://github.io" has no`,
				`"https://app.example.com." has no`}},
		"above the issuer, one word":   {"https://id.sso", []string{"https://sso"}, []string{"has no registrable domain"}},
		"the end of the issuer's name": {"https://sso", []string{"https://xsso"}, []string{"has no registrable domain"}},
		"six labels": {id, append(many(5, "https://a%d.test"), "https://b.example"),
			[]string{"has origins of 6 registrable domains (a0, a1, a2, a3, a4, b), and browsers take 5"}},
		"fifty-one": {id, many(51, "https://app%d.example.com"), []string{"names 51 origins; give at most 50"}},
		"a pattern": {id, []string{"https://*.example.org"},
			[]string{"is a pattern, and there are none; name each origin, such as https://app.example.org"}},
		"a star": {id, []string{"*"}, []string{"does not take *"}},
		"a path": {id, []string{"https://app.example.com/"},
			[]string{"not an origin as browsers send it; write https://app.example.com"}},
		"capitals": {id, []string{"https://App.example.com"}, []string{"write https://app.example.com"}},
		"an app of Android": {id, []string{"android:apk-key-hash:z4MeHNmEPMbsPsFOHQtJ0xRBPxXdnEiMuyjZ2nLtXcI"},
			[]string{"is not an origin"}},
		"each in its own way": {id,
			[]string{"http://a.test", "https://b.test", "https://intranet", "https://B.test", "https://b.test"},
			[]string{"is not safe", `"https://intranet" has no`, "write https://b.test", "names https://b.test twice"}},
		"twice":               {id, []string{"https://a.test", "https://a.test"}, []string{"names https://a.test twice"}},
		"a comma in one text": {id, []string{"https://a.test,https://b.test"}, []string{"is not an origin"}},
	} {
		var file strings.Builder
		if row.issuer != "" {
			fmt.Fprintf(&file, "issuer: %s\n", row.issuer)
		}
		file.WriteString("passkeys:\n  origins:\n")
		for _, o := range row.origins {
			fmt.Fprintf(&file, "    - %q\n", o)
		}
		if len(row.origins) == 0 {
			file.WriteString("    []\n")
		}
		_, _, err := Load(Input{File: write(t, file.String())})
		var faults []Fault
		if e, ok := err.(*Error); ok {
			faults = e.Faults
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(faults) != len(row.faults) {
			t.Errorf("%s: %v, want %q", name, err, row.faults)
			continue
		}
		for i, f := range faults {
			if f.Key != "passkeys.origins" || !strings.Contains(f.Reason, row.faults[i]) {
				t.Errorf("%s: %s %s, want %q", name, f.Key, f.Reason, row.faults[i])
			}
		}
	}
}

// A faulty issuer is no reason to complain about origins that only make sense with it, but about
// those that never do.
func TestPasskeyOriginsWithAFaultyIssuer(t *testing.T) {
	faults, text := faultsOf(t,
		"issuer: id.example.com\npasskeys: {origins: [\"http://localhost:3000\", \"https://*.example.com\"]}\n")
	if len(faults.Faults) != 2 || !strings.Contains(text, "issuer (") || strings.Contains(text, "localhost:3000") ||
		!strings.Contains(text, `passkeys.origins`) || !strings.Contains(text, "is a pattern") {
		t.Error(text)
	}
}
