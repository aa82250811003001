package web

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/internal/languages"
)

var (
	saying      = regexp.MustCompile(`say "([a-z_.]+)"((?: "[a-z]+" (?:\([^)]*\)|[^\s"}]+))*)`)
	argument    = regexp.MustCompile(`"([a-z]+)"`)
	namesInFile = regexp.MustCompile(`(?m)^    "([a-z_.]+)": `)
)

func speaks(t *testing.T, tag string) *languages.Language {
	t.Helper()
	s, err := languages.Load([]string{tag})
	if err != nil {
		t.Fatal(err)
	}
	return s.Default()
}

// What the templates say exists and gets its values; what exists is said.
func TestTemplatesGiveEachTextWhatItNeeds(t *testing.T) {
	said, english := map[string]bool{}, speaks(t, "en")
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
			s := english.Text("pages." + m[1])
			if s == "" {
				t.Errorf("%s says %s, which there is not", e.Name(), m[1])
			}
			var given []string
			for _, a := range argument.FindAllStringSubmatch(m[2], -1) {
				given = append(given, "{"+a[1]+"}")
			}
			slices.Sort(given)
			if want := languages.Placeholders(s); !slices.Equal(given, want) {
				t.Errorf("%s gives %s the values %q, it needs %q", e.Name(), m[1], given, want)
			}
		}
	}
	for _, name := range names(t, "pages", "errors") {
		// These are said by a name that Go code put together.
		if prefix, _, _ := strings.Cut(name, "."); !said[name] &&
			!slices.Contains([]string{"title", "field", "hint", "scope", "app", "unit", "done", "event"}, prefix) {
			t.Errorf("nothing says %s", name)
		}
	}
	if len(said) < 30 {
		t.Errorf("only %d texts were found; are they still said as the test reads it?", len(said))
	}
}

// Codes that no page shows: they belong to requests that programs send.
var notOnPages = []string{"validation_error", "invalid_credentials", "missing_token", "token_expired", "token_invalid",
	"wrong_password", "recent_proof_required", "new_password_required", "has_password", "insufficient_scope",
	"user_already_exists", "last_admin",
	"client_already_exists", "built_in_client", "first_party_client", "client_not_manageable", "mail_code_required", "second_factor_required",
	"second_factor_setup_required", "invalid_code", "login_expired", "codes_blocked", "factors_off", "last_factor",
	"no_passkeys", "passkey_exists", "too_many_passkeys", "invalid_dpop_proof", "use_dpop_nonce"}

func TestEveryCodeThatReachesAPageHasItsOwnWords(t *testing.T) {
	english := speaks(t, "en")
	for _, code := range problem.Codes() {
		if english.Text("errors."+string(code)+".heading") == "" && !slices.Contains(notOnPages, string(code)) {
			t.Errorf("there is no error page for %s", code)
		}
	}
}

// names lists the texts of a section of the original.
func names(t *testing.T, section, next string) (out []string) {
	t.Helper()
	raw, err := os.ReadFile("../../internal/languages/en.json")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(raw), `"`+section+`": {`)
	texts, _, closed := strings.Cut(rest, `"`+next+`": {`)
	if !ok || !closed {
		t.Fatalf("en.json has no %s before %s", section, next)
	}
	for _, m := range namesInFile.FindAllStringSubmatch(texts, -1) {
		out = append(out, m[1])
	}
	return out
}

func TestComplaints(t *testing.T) {
	english, german := speaks(t, "en"), speaks(t, "de")
	for _, c := range []struct {
		what    string
		field   string
		problem Problem
		en, de  string
	}{
		{"the field says it better", "password", Problem{Code: "required"}, "Enter a password.",
			"Geben Sie ein Passwort ein."},
		{"any field", "given_name", Problem{Code: "too_long"}, "This is too long.", "Das ist zu lang."},
		{"the whole form", "", Problem{Code: "account_disabled"}, "This account is switched off.",
			"Dieses Konto ist abgeschaltet."},
		{"wrong credentials", "", Problem{Code: "invalid_credentials"}, "Wrong email address, username or password.",
			"E-Mail-Adresse, Benutzername oder Passwort ist falsch."},
		{"an unknown code", "email", Problem{Code: "new_in_2030"}, "This was not accepted.", "Das wurde nicht angenommen."},
		{"a code that looks like a name of ours", "", Problem{Code: "email.taken"}, "There is an account",
			"Mit dieser E-Mail-Adresse"},
		{"a code that leads out of its section", "../pages", Problem{Code: "login.heading"}, "This was not accepted.",
			"Das wurde nicht angenommen."},
		{"a new value has the sentences of the value", "new_email", Problem{Code: "required"}, "Enter your email address.",
			"Geben Sie Ihre E-Mail-Adresse ein."},
		{"a new value has one of its own", "new_email", Problem{Code: "taken"}, "Another account has this email address.",
			"gehört zu einem anderen Konto."},
		{"no time to wait", "", Problem{Code: "rate_limited"}, "again in 1\u00a0min.", "in 1\u00a0min noch"},
		{"a second", "", Problem{Code: "rate_limited", Seconds: 1}, "again in 1\u00a0min.", "in 1\u00a0min noch"},
		{"a minute", "", Problem{Code: "rate_limited", Seconds: 60}, "again in 1\u00a0min.", "in 1\u00a0min noch"},
		{"a little more", "", Problem{Code: "rate_limited", Seconds: 61}, "again in 2\u00a0min.", "in 2\u00a0min noch"},
		{"an hour", "", Problem{Code: "rate_limited", Seconds: 3600}, "again in 60\u00a0min.", "in 60\u00a0min noch"},
	} {
		t.Run(c.what, func(t *testing.T) {
			if en := complaint(english, c.field, c.problem); !strings.Contains(en, c.en) {
				t.Errorf("%q, want %q", en, c.en)
			}
			if de := complaint(german, c.field, c.problem); !strings.Contains(de, c.de) {
				t.Errorf("%q, want %q", de, c.de)
			}
		})
	}
}

func TestValuesNeverFillPlaceholdersOfOthers(t *testing.T) {
	got, err := say(speaks(t, "en"), "consent.heading", "client", "{service}{client}<b>", "service", "x")
	if err != nil {
		t.Fatal(err)
	}
	if want := "Allow <bdi>{service}{client}&lt;b&gt;</bdi> access to your account?"; string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTheAppIsAskedFirstThenThePersonThenTheBrowser(t *testing.T) {
	p, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what   string
		wishes Wishes
		want   Locale
	}{
		{"nothing is said", Wishes{}, "en"},
		{"the browser", Wishes{Accept: "fr"}, "fr"},
		{"the person and the browser", Wishes{Chosen: "de", Accept: "fr"}, "de"},
		{"all three", Wishes{UILocales: []string{"ja"}, Chosen: "de", Accept: "fr"}, "ja"},
		{"the app wants what there is not", Wishes{UILocales: []string{"vo"}, Chosen: "de", Accept: "fr"}, "de"},
		{"more than the app may say", Wishes{UILocales: slices.Repeat([]string{"vo"}, 100), Chosen: "de"}, "de"},
		{"a choice that is none", Wishes{Chosen: "\x00<b>", Accept: "fr"}, "fr"},
		{"a choice that an older version had", Wishes{Chosen: "vo", Accept: "fr"}, "fr"},
	} {
		if got := p.Choose(c.wishes); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	for tag, want := range map[Locale]bool{"de": true, "pt-BR": true, "pt": false, "DE": false, "": false, "tlh": false} {
		if p.Speaks(tag) != want {
			t.Errorf("speaks %q: %t", tag, !want)
		}
	}
}

func TestAServiceThatSpeaksOneLanguageOffersNoChoice(t *testing.T) {
	for _, c := range []struct {
		tags    []string
		refused bool
		choices int
	}{
		{nil, false, 11}, {[]string{"de"}, false, 0}, {[]string{"de", "en"}, false, 2}, {[]string{"tlh"}, true, 0},
		{[]string{"de", "de"}, true, 0},
	} {
		p, err := New(Options{Languages: c.tags})
		if (err != nil) != c.refused {
			t.Errorf("%q: %v", c.tags, err)
		}
		if err != nil {
			continue
		}
		page, err := p.SignedIn(SignedInPage{})
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(page.Body), "<option "); n != c.choices {
			t.Errorf("%q: %d choices, want %d", c.tags, n, c.choices)
		}
		if c.tags != nil && page.Language != c.tags[0] {
			t.Errorf("%q: the page of nobody's language is in %q", c.tags, page.Language)
		}
		if want := map[bool]string{true: "form-action 'self'",
			false: "form-action 'none'"}[c.choices > 0]; !strings.Contains(page.CSP, want) {
			t.Errorf("%q: %s", c.tags, page.CSP)
		}
	}
}
