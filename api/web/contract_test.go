package web_test

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/web"
)

// What automation and password managers find, by page.
func TestFormsHaveTheFieldsAndIdsThatTheContractNames(t *testing.T) {
	p := newPages(t, web.Options{Base: "/id"})
	for _, c := range []struct {
		sample, action string
		buttons        []string
		fields         map[string]string // name to autocomplete
	}{
		{"login", "/id/login", []string{"login-submit"},
			map[string]string{"email": "username", "password": "current-password"}},
		{"login-wrong", "/id/login", []string{"login-submit"},
			map[string]string{"email": "username", "password": "current-password"}},
		{"login-again", "/id/login", []string{"login-submit"},
			map[string]string{"email": "username", "password": "current-password"}},
		{"signup", "/id/signup", []string{"signup-submit"}, map[string]string{"email": "username", "password": "new-password",
			"given_name": "given-name", "family_name": "family-name", "username": "nickname"}},
		{"consent", "/id/consent", []string{"consent-approve", "consent-deny"}, nil},
		{"logout", "/id/logout", []string{"logout-confirm"}, nil},
		{"signed-out", "", nil, nil},
		{"signed-in", "", nil, nil},
		{"error", "", nil, nil},
		{"consent-wrong", "/id/consent", []string{"consent-approve", "consent-deny"}, nil},
		{"error-back", "/id/back", []string{"back-submit"}, nil},
		{"error-lost", "", nil, nil},
		{"error-cookies", "", nil, nil},
	} {
		t.Run(c.sample, func(t *testing.T) {
			d := parse(t, pageOf(t, p, c.sample, web.Common{Request: "handle", CSRF: "token"}).Body)
			forms := slices.DeleteFunc(d.all("form"), func(f element) bool { return f.attrs["class"] == "languages" })
			if c.action == "" {
				if len(forms) != 0 {
					t.Errorf("forms %v", forms)
				}
				return
			}
			if len(forms) != 1 || forms[0].attrs["method"] != "post" || forms[0].attrs["action"] != c.action {
				t.Errorf("forms %v, want one to %s", forms, c.action)
			}
			hidden := map[string]string{"request": "handle", "csrf": "token"}
			for _, i := range d.all("input") {
				name := i.attrs["name"]
				if name == "page" {
					break // here begins the choice of language
				}
				if name == "stay" && c.sample == "login" {
					if _, checked := i.attrs["checked"]; checked || i.attrs["type"] != "checkbox" || i.attrs["value"] != "yes" {
						t.Errorf("the choice to stay signed in: %v", i.attrs)
					}
					continue
				}
				if i.attrs["type"] == "hidden" {
					if v, ok := hidden[name]; !ok || v != i.attrs["value"] {
						t.Errorf("hidden field %v", i.attrs)
					}
					delete(hidden, name)
					continue
				}
				if want, ok := c.fields[name]; !ok || i.attrs["autocomplete"] != want || i.attrs["id"] != name {
					t.Errorf("field %v, want autocomplete %q", i.attrs, want)
				}
				if name == "password" && (i.attrs["type"] != "password" || i.attrs["value"] != "") {
					t.Errorf("password field %v", i.attrs)
				}
				if name == "email" && (i.attrs["type"] != "text" || i.attrs["inputmode"] != "email") {
					t.Errorf("email field %v", i.attrs)
				}
				delete(c.fields, name)
			}
			if len(hidden)+len(c.fields) > 0 {
				t.Errorf("missing: %v %v", hidden, c.fields)
			}
			buttons := slices.DeleteFunc(d.all("button"),
				func(b element) bool { return b.attrs["id"] == "language-submit" || b.attrs["class"] == "reveal" })
			if len(buttons) != len(c.buttons) {
				t.Errorf("buttons %v, want %q", buttons, c.buttons)
			}
			for _, id := range c.buttons {
				b, ok := d.id(id)
				decision := map[string]string{"consent-approve": "approve", "consent-deny": "deny"}[id]
				if !ok || b.name != "button" || b.attrs["type"] != "submit" || b.attrs["value"] != decision ||
					(decision != "") != (b.attrs["name"] == "decision") {
					t.Errorf("button %s: %v", id, b.attrs)
				}
			}
		})
	}
	t.Run("without a pending request nothing speaks of one", func(t *testing.T) {
		for _, s := range samples {
			if body := pageOf(t, p, s.name, web.Common{CSRF: "token"}).Body; strings.Contains(string(body), `name="request"`) ||
				strings.Contains(string(body), "request=") {
				t.Errorf("%s:\n%s", s.name, body)
			}
		}
	})
	t.Run("links keep the pending request", func(t *testing.T) {
		for sample, link := range map[string]string{"login": "/id/signup?request=a%2bb%26c",
			"signup": "/id/login?request=a%2bb%26c", "consent": "/id/login?request=a%2bb%26c"} {
			if d := parse(t, pageOf(t, p, sample, web.Common{Request: "a+b&c"}).Body); !hasLink(d, link) {
				t.Errorf("%s has no link to %s", sample, link)
			}
		}
	})
}

func hasLink(d document, href string) bool {
	for _, a := range d.all("a") {
		if a.attrs["href"] == href {
			return true
		}
	}
	return false
}

func pageOf(t testing.TB, p *web.Pages, name string, c web.Common) web.Page {
	t.Helper()
	for _, s := range samples {
		if s.name == name {
			page, err := s.make(p, c, "")
			if err != nil {
				t.Fatal(err)
			}
			return page
		}
	}
	t.Fatalf("there is no sample %s", name)
	return web.Page{}
}

// Each page but those that are over at once lets people choose, and leads back to itself; the
// address carries nothing of it.
func TestTheLanguageIsChosenAtTheFoot(t *testing.T) {
	p := newPages(t, web.Options{Base: "/id"})
	for sample, page := range map[string]string{"login": "login", "login-wrong": "login", "login-again": "login",
		"login-continue": "login", "signup-continue": "signup", "signup": "signup", "signup-wrong": "signup",
		"consent": "consent", "logout": "logout", "signed-out": "logout", "signed-out-frames": "logout",
		"signed-out-onward": "", "signed-in": "login", "error": "", "error-back": "",
		"error-lost": "", "error-cookies": "", "form-post": ""} {
		t.Run(sample, func(t *testing.T) {
			d := parse(t, pageOf(t, p, sample, web.Common{Locale: "fr", Request: "handle", CSRF: "token"}).Body)
			forms := slices.DeleteFunc(d.all("form"), func(f element) bool { return f.attrs["class"] != "languages" })
			if page == "" {
				if len(forms) != 0 {
					t.Errorf("forms %v", forms)
				}
				return
			}
			if len(forms) != 1 || forms[0].attrs["method"] != "post" || forms[0].attrs["action"] != "/id/language" {
				t.Errorf("forms %v", forms)
			}
			inputs := d.all("input")
			if back := inputs[len(inputs)-2].attrs; back["name"] != "page" || back["value"] != page {
				t.Errorf("it leads back to %v", back)
			}
			if handle := inputs[len(inputs)-1].attrs; handle["name"] != "request" || handle["value"] != "handle" {
				t.Errorf("it keeps the request as %v", handle)
			}
			var chosen []string
			for _, o := range d.all("option") {
				if o.attrs["lang"] != o.attrs["value"] {
					t.Errorf("option %v", o.attrs)
				}
				if _, yes := o.attrs["selected"]; yes {
					chosen = append(chosen, o.attrs["value"])
				}
			}
			if len(d.all("option")) != 11 || !slices.Equal(chosen, []string{"fr"}) {
				t.Errorf("%d options, chosen %q", len(d.all("option")), chosen)
			}
		})
	}
}

func TestSignupIsOfferedOnlyWhereItIsOpen(t *testing.T) {
	p := newPages(t, web.Options{})
	for _, c := range []struct {
		what          string
		signup, again bool
		want          bool
	}{
		{"open", true, false, true},
		{"closed", false, false, false},
		{"open, to somebody who has an account and proves it again", true, true, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			page, err := p.Login(web.LoginPage{Signup: c.signup, Reauthenticate: c.again})
			if err != nil {
				t.Fatal(err)
			}
			if got := hasLink(parse(t, page.Body), "/signup"); got != c.want {
				t.Errorf("a link to sign-up: %t, want %t", got, c.want)
			}
		})
	}
}

// The policy of each page, whole: what it loads and where its forms lead, and no more.
func TestPoliciesAllowExactlyWhatPagesNeed(t *testing.T) {
	p := newPages(t, web.Options{})
	const (
		head   = "default-src 'none'; style-src 'self'; img-src 'self'"
		easier = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'"
		asking = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'"
		tail   = "; frame-ancestors 'none'; base-uri 'none'"
		cdn    = " https://cdn.photos.example"
	)
	hashOf := func(sample string) string {
		script := string(pageOf(t, p, sample, web.Common{}).Body)
		script = script[strings.Index(script, "<script>")+len("<script>") : strings.Index(script, "</script>")]
		sum := sha256.Sum256([]byte(script))
		return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
	}
	hash, leaveHash := hashOf("form-post"), hashOf("signed-out-onward")
	const frames = "; frame-src https://photos.example https://mail.example:8443"

	for _, c := range []struct{ sample, within, onward string }{
		{"login", easier + cdn + "; form-action 'self'" + tail, easier + cdn + tail},
		{"login-wrong", easier + "; form-action 'self'" + tail, easier + tail},
		{"signup", easier + cdn + "; form-action 'self'" + tail, easier + cdn + tail},
		{"signup-wrong", easier + "; form-action 'self'" + tail, easier + tail},
		{"consent", easier + cdn + "; form-action 'self'" + tail, easier + cdn + tail},
		{"logout", easier + "; form-action 'self'" + tail, easier + tail},
		{"signed-out", head + "; form-action 'self'" + tail, head + "; form-action 'self'" + tail},
		{"signed-out-frames", head + frames + "; form-action 'self'" + tail, head + frames + "; form-action 'self'" + tail},
		{"signed-out-onward", strings.Replace(head, ";", "; script-src '"+leaveHash+"';", 1) + frames + "; form-action 'none'" + tail,
			strings.Replace(head, ";", "; script-src '"+leaveHash+"';", 1) + frames + "; form-action 'none'" + tail},
		{"signed-in", head + "; form-action 'self'" + tail, head + "; form-action 'self'" + tail},
		{"error", head + "; form-action 'none'" + tail, head + "; form-action 'none'" + tail},
		{"error-back", head + "; form-action 'self'" + tail, head + tail},
		{"error-lost", head + "; form-action 'none'" + tail, head + "; form-action 'none'" + tail},
		{"login-continue", easier + cdn + "; form-action 'self'" + tail, easier + cdn + tail},
		{"login-passkey", asking + cdn + "; form-action 'self'" + tail, asking + cdn + tail},
		{"login-over-wrong", asking + cdn + "; form-action 'self'" + tail, asking + cdn + tail},
		{"second-app", easier + "; form-action 'self'" + tail, easier + tail},
		{"second-passkey", asking + "; form-action 'self'" + tail, asking + tail},
		{"second-account", asking + "; form-action 'self'" + tail, asking + "; form-action 'self'" + tail},
		{"second-recovery-wrong", easier + "; form-action 'self'" + tail, easier + tail},
		{"second-none", easier + "; form-action 'self'" + tail, easier + tail},
		{"codes", head + "; form-action 'self'" + tail, head + tail},
		{"error-cookies", head + "; form-action 'none'" + tail, head + "; form-action 'none'" + tail},
		{"form-post", strings.Replace(head, ";", "; script-src '"+hash+"';", 1) + tail,
			strings.Replace(head, ";", "; script-src '"+hash+"';", 1) + tail},
	} {
		for onward, want := range map[bool]string{false: c.within, true: c.onward} {
			page := pageOf(t, p, c.sample, web.Common{Onward: onward})
			if page.CSP != want {
				t.Errorf("%s, onward %t:\n got %s\nwant %s", c.sample, onward, page.CSP, want)
			}
		}
		d := parse(t, pageOf(t, p, c.sample, web.Common{}).Body)
		// A script stands in the form-post page alone; another is a file of ours, where the policy has
		// it.
		var files, passkeys, inside int
		for _, e := range d.all("script") {
			name, linked := strings.CutPrefix(e.attrs["src"], "/assets/")
			_, mediaType, ok := p.Asset(name)
			switch {
			case !linked:
				inside++
			case ok && strings.HasPrefix(name, "page.") && mediaType == "text/javascript; charset=utf-8":
				files++
			case ok && strings.HasPrefix(name, "passkeys.") && mediaType == "text/javascript; charset=utf-8":
				passkeys++
			default:
				t.Errorf("%s has the script %v", c.sample, e.attrs)
			}
		}
		if want := strings.Contains(c.within, "script-src 'self'"); (files == 1) != want || files > 1 ||
			(passkeys == 1) != strings.Contains(c.within, "connect-src") || passkeys > 1 ||
			(inside == 1) != (c.sample == "form-post" || c.sample == "signed-out-onward") || inside > 1 {
			t.Errorf("%s has %d scripts in files, %d inside", c.sample, files, inside)
		}
		framed := 0
		for _, e := range d.all("iframe") {
			_, hidden := e.attrs["hidden"]
			if framed++; !hidden || e.attrs["sandbox"] != "allow-forms allow-same-origin allow-scripts" ||
				e.attrs["referrerpolicy"] != "no-referrer" {
				t.Errorf("%s has the frame %v", c.sample, e.attrs)
			}
		}
		if strings.Contains(c.within, "frame-src") != (framed == 3) || framed > 3 {
			t.Errorf("%s has %d frames", c.sample, framed)
		}
		if len(d.all("style"))+len(d.all("object"))+len(d.all("base")) != 0 {
			t.Errorf("%s holds what its policy forbids", c.sample)
		}
	}
}

// What screen readers and keyboards need, on every page in every state.
func TestPagesAreAccessible(t *testing.T) {
	p := newPages(t, web.Options{Service: "Acme"})
	titles := map[string]string{}
	for _, s := range samples {
		for _, l := range []web.Locale{"en", "de", "ar"} {
			t.Run(s.name+" "+string(l), func(t *testing.T) {
				page := pageOf(t, p, s.name, web.Common{Locale: l})
				d := parse(t, page.Body)
				if html := d.all("html")[0]; html.attrs["lang"] != string(l) || page.Language != string(l) ||
					(html.attrs["dir"] == "rtl") != (l == "ar") {
					t.Errorf("%v, Content-Language %q", html.attrs, page.Language)
				}
				if len(d.all("h1")) != 1 || len(d.all("main")) != 1 || len(d.all("title")) != 1 {
					t.Error("not one title, one main part and one heading")
				}
				title := string(
					page.Body[strings.Index(string(page.Body), "<title>")+7 : strings.Index(string(page.Body), "</title>")])
				// Two pages of one family are states of the same page.
				family := func(name string) string {
					name = strings.Fields(name)[0]
					for _, state := range []string{"-none", "-kept", "-off", "-mail", "-second", "-new"} {
						name = strings.TrimSuffix(name, state)
					}
					if strings.HasPrefix(name, "account-") {
						return name
					}
					first, _, _ := strings.Cut(name, "-")
					return first
				}
				if other, twice := titles[title]; twice && family(other) != family(s.name) &&
					!strings.HasSuffix(s.name, "-continue") {
					t.Errorf("the title %q is that of %s, too", title, other)
				}
				if !strings.HasSuffix(s.name, "-continue") { // which is the same page with one more choice
					titles[title] = s.name + " " + string(l)
				}
				if wrong := strings.HasPrefix(title, "Error: ") || strings.HasPrefix(title, "Fehler: ") ||
					strings.HasPrefix(title, "خطأ: "); wrong != strings.HasSuffix(s.name, "-wrong") {
					t.Errorf("the title is %q", title)
				}
				labels, focused := map[string]bool{}, 0
				above, listed := d.id("problems")
				if listed {
					focused++
					if _, focus := above.attrs["autofocus"]; !focus || above.attrs["role"] != "alert" ||
						above.attrs["tabindex"] != "-1" {
						t.Errorf("the list of problems: %v", above.attrs)
					}
				}
				for _, a := range d.all("a") {
					if id, ok := strings.CutPrefix(a.attrs["href"], "#"); ok {
						if _, there := d.id(id); !there || !listed {
							t.Errorf("a link to %s", id)
						}
					}
				}
				for _, e := range d.all("label") {
					labels[e.attrs["for"]] = true
				}
				for _, i := range d.all("input") {
					if i.attrs["type"] != "hidden" && !labels[i.attrs["id"]] {
						t.Errorf("no label for %v", i.attrs)
					}
					_, focus := i.attrs["autofocus"]
					if focus {
						focused++
					}
					for id := range strings.FieldsSeq(i.attrs["aria-describedby"]) {
						if _, ok := d.id(id); !ok {
							t.Errorf("nothing has the id %s, which describes %s", id, i.attrs["id"])
						}
					}
					problem, wrong := d.id(i.attrs["id"] + "-problem")
					described := strings.Contains(i.attrs["aria-describedby"], "-problem")
					if described != (i.attrs["aria-invalid"] == "true") || wrong && !described ||
						wrong && (problem.attrs["role"] == "alert") == listed {
						t.Errorf("a problem with %s: %t, %v, %v", i.attrs["id"], wrong, i.attrs, problem.attrs)
					}
				}
				if focused > 1 {
					t.Errorf("%d fields want the focus", focused)
				}
				ids := map[string]bool{}
				for _, e := range d.elements {
					if id := e.attrs["id"]; id != "" && ids[id] {
						t.Errorf("two elements have the id %s", id)
					} else {
						ids[id] = true
					}
					if _, ok := e.attrs["tabindex"]; ok && e.attrs["id"] != "problems" && e.attrs["id"] != "done" {
						t.Errorf("<%s> has a tabindex", e.name)
					}
				}
			})
		}
	}
}

func TestTheFocusGoesWhereThePersonGoesOn(t *testing.T) {
	p := newPages(t, web.Options{})
	for _, c := range []struct {
		what     string
		name     string
		problems []web.Problem
		want     string
	}{
		{"an empty form", "", nil, "email"},
		{"a name that is known", "ada", nil, "password"},
		{"wrong credentials", "ada", []web.Problem{{Code: "invalid_credentials"}}, "password"},
		{"a problem with the name", "ada", []web.Problem{{Field: "email", Code: "invalid"}}, "email"},
		{"both wrong, which is listed above", "ada",
			[]web.Problem{{Field: "password", Code: "required"}, {Field: "email", Code: "invalid"}}, "problems"},
		{"what is no matter of a field", "ada", []web.Problem{{Code: "rate_limited", Seconds: 600}}, "problems"},
		{"that, and a field", "ada", []web.Problem{{Code: "csrf"}, {Field: "email", Code: "invalid"}}, "problems"},
	} {
		t.Run(c.what, func(t *testing.T) {
			page, err := p.Login(web.LoginPage{Name: c.name, Problems: c.problems})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range parse(t, page.Body).elements {
				if _, focus := e.attrs["autofocus"]; focus != (e.attrs["id"] == c.want) {
					t.Errorf("%s has the focus: %t", e.attrs["id"], focus)
				}
			}
		})
	}
}

// A focus would scroll what these pages say first out of a small window.
func TestPagesThatSayFirstWhatHappenedFocusNoField(t *testing.T) {
	p := newPages(t, web.Options{})
	first := []string{
		"reset-code", "verify-code", "verify-signed-up", "verify-login", "verify-elsewhere", "verify-new-password",
		"change-code", "undo",
	}
	for _, s := range samples {
		if !slices.Contains(first, s.name) {
			continue
		}
		page, err := s.make(p, web.Common{}, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range parse(t, page.Body).elements {
			if _, focus := e.attrs["autofocus"]; focus {
				t.Errorf("%s: %s has the focus", s.name, e.attrs["id"])
			}
		}
		first = slices.DeleteFunc(first, func(name string) bool { return name == s.name })
	}
	if len(first) > 0 {
		t.Errorf("there is no sample of %q", first)
	}
}

// Neither field alone is called wrong, so both are, by the one sentence.
func TestWrongCredentialsAreSaidOnceOfBothFields(t *testing.T) {
	p := newPages(t, web.Options{})
	page, err := p.Login(web.LoginPage{Name: "ada", Problems: []web.Problem{{Code: "invalid_credentials"}}})
	if err != nil {
		t.Fatal(err)
	}
	d := parse(t, page.Body)
	if n := strings.Count(d.text, "Wrong email address, username or password."); n != 1 {
		t.Errorf("it is said %d times", n)
	}
	for _, id := range []string{"email", "password"} {
		if e, _ := d.id(id); e.attrs["aria-invalid"] != "true" || e.attrs["aria-describedby"] != "password-problem" {
			t.Errorf("%v", e.attrs)
		}
	}
	if e, _ := d.id("password-problem"); e.attrs["role"] != "alert" {
		t.Errorf("%v", e.attrs)
	}
}

// What only works with the script is hidden until the script shows it.
func TestNothingThatNeedsTheScriptShowsWithoutIt(t *testing.T) {
	p := newPages(t, web.Options{})
	for _, s := range samples {
		d := parse(t, pageOf(t, p, s.name, web.Common{}).Body)
		passwords, buttons, passkeys := 0, 0, 0
		for _, e := range d.elements {
			if e.attrs["type"] == "password" {
				passwords++
			}
			if strings.Contains(e.attrs["class"], "passkey-missing") {
				passkeys--
			}
			if strings.HasSuffix(e.attrs["class"], "passkey") && e.name == "button" {
				passkeys++
				if _, hidden := e.attrs["hidden"]; !hidden || e.attrs["type"] != "button" {
					t.Errorf("%s: %v", s.name, e.attrs)
				}
			} else if e.attrs["type"] == "button" {
				buttons++
				_, hidden := e.attrs["hidden"]
				if of, ok := d.id(e.attrs["aria-controls"]); !hidden || !ok || of.attrs["type"] != "password" ||
					e.attrs["data-show"] == "" || e.attrs["data-hide"] == "" {
					t.Errorf("%s: %v", s.name, e.attrs)
				}
			}
			if e.attrs["class"] == "caps" &&
				(e.attrs["role"] != "status" || e.attrs["data-of"] == "" || e.attrs["data-text"] == "") {
				t.Errorf("%s: %v", s.name, e.attrs)
			}
		}
		if passwords != buttons {
			t.Errorf("%s: %d buttons for %d passwords", s.name, buttons, passwords)
		}
		if passkeys != 0 {
			t.Errorf("%s: not one sentence about what is missing for each button of passkeys", s.name)
		}
	}
}

func TestStayingSignedInSaysForHowLong(t *testing.T) {
	p := newPages(t, web.Options{})
	for _, c := range []struct {
		stay *web.Stay
		says []string
	}{
		{nil, nil},
		{&web.Stay{Idle: 24 * time.Hour, Longest: 720 * time.Hour}, []string{"for up to 30\u00a0days, or 24\u00a0h without use."}},
		{&web.Stay{Idle: 48 * time.Hour, Longest: 60 * time.Hour, Chosen: true},
			[]string{"for up to 60\u00a0h, or 2\u00a0days without use."}},
		{&web.Stay{Idle: 5 * time.Minute, Longest: 90 * time.Minute}, []string{"for up to 2\u00a0h, or 1\u00a0h without use."}},
	} {
		page, err := p.Login(web.LoginPage{Stay: c.stay})
		if err != nil {
			t.Fatal(err)
		}
		d := parse(t, page.Body)
		box, there := d.id("stay")
		if _, checked := box.attrs["checked"]; there != (c.stay != nil) || checked != (there && c.stay.Chosen) {
			t.Errorf("%+v: %t, %v", c.stay, there, box.attrs)
		}
		for _, text := range c.says {
			if !strings.Contains(d.text, text) {
				t.Errorf("%+v: not %q in %s", c.stay, text, d.text)
			}
		}
	}
}

func TestThePasswordRuleIsSaidBeforeTyping(t *testing.T) {
	p := newPages(t, web.Options{})
	page, err := p.Signup(web.SignupPage{MinLength: 17})
	if err != nil {
		t.Fatal(err)
	}
	d := parse(t, page.Body)
	field, _ := d.id("password")
	if field.attrs["minlength"] != "17" || field.attrs["passwordrules"] != "minlength: 17; maxlength: 1024;" ||
		field.attrs["aria-describedby"] != "password-hint" {
		t.Errorf("%v", field.attrs)
	}
	if !strings.Contains(d.text, "At least 17 characters.") {
		t.Errorf("%s", d.text)
	}
}

func TestTheOptionalPartOfSignupOpensWhenItMatters(t *testing.T) {
	p := newPages(t, web.Options{})
	for _, c := range []struct {
		what string
		page web.SignupPage
		open bool
	}{
		{"fresh", web.SignupPage{}, false},
		{"a problem elsewhere", web.SignupPage{Values: map[string]string{"email": "x"},
			Problems: []web.Problem{{Field: "email", Code: "invalid"}}}, false},
		{"something typed in it", web.SignupPage{Values: map[string]string{"given_name": "Ada"}}, true},
		{"a problem in it", web.SignupPage{Problems: []web.Problem{{Field: "family_name", Code: "too_long"}}}, true},
		{"a problem that the API has another name for",
			web.SignupPage{Problems: []web.Problem{{Field: "preferred_username", Code: "taken"}}}, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			page, err := p.Signup(c.page)
			if err != nil {
				t.Fatal(err)
			}
			if _, open := parse(t, page.Body).all("details")[0].attrs["open"]; open != c.open {
				t.Errorf("open: %t, want %t", open, c.open)
			}
		})
	}
}

func TestAppsOfOthersAreMarkedAndOursAreNot(t *testing.T) {
	p := newPages(t, web.Options{Service: "Acme"})
	for _, ours := range []bool{true, false} {
		c := client("")
		c.FirstParty = ours
		login, err := p.Login(web.LoginPage{Client: c})
		if err != nil {
			t.Fatal(err)
		}
		consent, err := p.Consent(web.ConsentPage{Client: *c})
		if err != nil {
			t.Fatal(err)
		}
		for name, page := range map[string]web.Page{"login": login, "consent": consent} {
			text := parse(t, page.Body).text
			if strings.Contains(text, "Not verified") == ours || strings.Contains(text, "photos.example") == ours {
				t.Errorf("%s, ours %t:\n%s", name, ours, text)
			}
		}
	}
}
