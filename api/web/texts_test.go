package web

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/problem"
)

var (
	placeholder = regexp.MustCompile(`\{[a-z]+\}`)
	saying      = regexp.MustCompile(`say "([a-z_.]+)"((?: "[a-z]+" (?:\([^)]*\)|[^\s"}]+))*)`)
	argument    = regexp.MustCompile(`"([a-z]+)"`)
)

func placeholders(s string) []string {
	found := placeholder.FindAllString(s, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

// everything are all texts, by a name for the test.
func everything() map[string]text {
	all := map[string]text{}
	for name, t := range texts {
		all["texts "+name] = t
	}
	for name, t := range troubles {
		all["troubles "+name+" heading"], all["troubles "+name+" advice"] = t.heading, t.advice
	}
	for name, t := range complaints {
		all["complaints "+name] = t
	}
	return all
}

func TestEveryTextSaysTheSameInEveryLanguage(t *testing.T) {
	for name, s := range everything() {
		if s.en == "" || s.de == "" {
			t.Errorf("%s is empty in a language", name)
		}
		if en, de := placeholders(s.en), placeholders(s.de); !slices.Equal(en, de) {
			t.Errorf("%s has the placeholders %q in English, %q in German", name, en, de)
		}
		for _, said := range []string{s.en, s.de} {
			if strings.TrimSpace(said) != said || strings.ContainsAny(said, "<>&") || strings.Contains(said, "'") {
				t.Errorf("%s: %q has a space at an end, markup or a straight apostrophe", name, said)
			}
		}
		if strings.HasSuffix(s.en, ".") != (strings.HasSuffix(s.de, ".") || strings.HasSuffix(s.de, "_ -")) {
			t.Errorf("%s is a sentence in one language only: %q, %q", name, s.en, s.de)
		}
	}
}

// What the templates say exists and gets its values; what exists is said.
func TestTemplatesGiveEachTextWhatItNeeds(t *testing.T) {
	said := map[string]bool{}
	entries, err := files.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		raw, err := files.ReadFile("templates/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range saying.FindAllStringSubmatch(string(raw), -1) {
			said[m[1]] = true
			s, ok := texts[m[1]]
			if !ok {
				t.Errorf("%s says %s, which there is not", e.Name(), m[1])
			}
			var given []string
			for _, a := range argument.FindAllStringSubmatch(m[2], -1) {
				given = append(given, "{"+a[1]+"}")
			}
			slices.Sort(given)
			if want := placeholders(s.en); !slices.Equal(given, want) {
				t.Errorf("%s gives %s the values %q, it needs %q", e.Name(), m[1], given, want)
			}
		}
	}
	for name := range texts {
		// These are said by a name that Go code put together.
		if prefix, _, _ := strings.Cut(name, "."); !said[name] && !slices.Contains([]string{"title", "field", "hint", "scope", "app"}, prefix) {
			t.Errorf("nothing says %s", name)
		}
	}
	if len(said) < 30 {
		t.Errorf("only %d texts were found; are they still said as the test reads it?", len(said))
	}
}

// Codes that no page shows: they belong to requests that programs send.
var notOnPages = []string{"validation_error", "invalid_credentials", "missing_token", "token_expired", "token_invalid",
	"wrong_password", "insufficient_scope", "user_already_exists", "last_admin",
	"client_already_exists", "built_in_client", "first_party_client"}

func TestEveryCodeThatReachesAPageHasItsOwnWords(t *testing.T) {
	for _, code := range problem.Codes() {
		if _, ok := troubles[string(code)]; !ok && !slices.Contains(notOnPages, string(code)) {
			t.Errorf("there is no error page for %s", code)
		}
	}
}

func TestComplaints(t *testing.T) {
	for _, c := range []struct {
		what    string
		field   string
		problem Problem
		en, de  string
	}{
		{"the field says it better", "password", Problem{Code: "required"}, "Enter a password.", "Geben Sie ein Passwort ein."},
		{"any field", "given_name", Problem{Code: "too_long"}, "This is too long.", "Das ist zu lang."},
		{"the whole form", "", Problem{Code: "account_disabled"}, "This account is switched off.", "Dieses Konto ist abgeschaltet."},
		{"an unknown code", "email", Problem{Code: "new_in_2030"}, "This was not accepted.", "Das wurde nicht angenommen."},
		{"a code that looks like a name of ours", "", Problem{Code: "email.taken"}, "There is an account", "Mit dieser E-Mail-Adresse"},
		{"no time to wait", "", Problem{Code: "rate_limited"}, "Wait a minute,", "Warten Sie eine Minute "},
		{"a second", "", Problem{Code: "rate_limited", Seconds: 1}, "Wait a minute,", "Warten Sie eine Minute "},
		{"a minute", "", Problem{Code: "rate_limited", Seconds: 60}, "Wait a minute,", "Warten Sie eine Minute "},
		{"a little more", "", Problem{Code: "rate_limited", Seconds: 61}, "Wait 2 minutes,", "Warten Sie 2 Minuten "},
		{"an hour", "", Problem{Code: "rate_limited", Seconds: 3600}, "Wait 60 minutes,", "Warten Sie 60 Minuten "},
	} {
		t.Run(c.what, func(t *testing.T) {
			if en := complaint(English, c.field, c.problem); !strings.Contains(en, c.en) {
				t.Errorf("%q, want %q", en, c.en)
			}
			if de := complaint(German, c.field, c.problem); !strings.Contains(de, c.de) {
				t.Errorf("%q, want %q", de, c.de)
			}
		})
	}
}

func TestValuesNeverFillPlaceholdersOfOthers(t *testing.T) {
	got, err := say(English, "consent.heading", "client", "{service}{client}<b>", "service", "x")
	if err != nil {
		t.Fatal(err)
	}
	if want := "Allow <bdi>{service}{client}&lt;b&gt;</bdi> access to your account?"; string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		what      string
		preferred []string
		header    string
		want      Locale
	}{
		{"nothing is said", nil, "", English},
		{"the browser speaks German", nil, "de-DE,de;q=0.9,en;q=0.8", German},
		{"Austrian German", nil, "de-AT", German},
		{"English first", nil, "en-GB,de;q=0.9", English},
		{"the weights decide, not the order", nil, "en;q=0.5,de;q=0.9", German},
		{"French, then German", nil, "fr-FR,fr;q=0.9,de;q=0.5", German},
		{"French only", nil, "fr", English},
		{"the app asks for German", []string{"de"}, "en", German},
		{"the app asks for what there is not, then German", []string{"fr", "de-CH"}, "en", German},
		{"the app asks for what there is not", []string{"fr"}, "de", German},
		{"the app asks for nonsense", []string{"", "\x00", "xx-yy-zz-", strings.Repeat("a", 5000)}, "de", German},
		{"nonsense in the header", nil, ";;;q=x,,\xff", English},
		{"a header of 100 KiB", nil, strings.Repeat("de,", 30000), English},
		{"a thousand tags before German", append(slices.Repeat([]string{"fr"}, 1000), "de"), "", English},
		{"anything", nil, "*", English},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got := Choose(c.preferred, c.header); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
