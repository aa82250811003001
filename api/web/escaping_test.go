package web_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"github.com/signet-id/signet/api/web"
)

// hostile is what an attacker writes wherever something may be written.
var hostile = []struct{ name, text string }{
	{"a tag", `<img src=x onerror=alert(1)>`},
	{"out of an attribute", `"><script>alert(1)</script>`},
	{"out of an attribute in single quotes", `' onfocus='alert(1)' autofocus='`},
	{"a new attribute", `" onmouseover="alert(1)" style="position:fixed`},
	{"out of the title", `</title><script>alert(1)</script>`},
	{"out of a script", `</script><script>alert(1)</script>`},
	{"a comment", `<!-- `},
	{"a template", `{{.CSRF}} {client} {service}`},
	{"a line break and a header", "\r\nSet-Cookie: a=b\r\n\r\n<b>"},
	{"percent escapes", `%3Cscript%3E%0d%0aX:1`},
	{"entities", `&lt;script&gt;&quot;&#x202e;&#0;`},
	{"another policy", `; script-src * 'unsafe-inline'; img-src *`},
	{"right to left", "\u202egro.elgoog\u202c \u2066a\u2069 \u200f\u061c"},
	{"zero width", "Goo\u200bg\u200cl\u200d\u2060e\ufeff\u00ad"},
	{"marks upon marks", "Z" + strings.Repeat("\u0335", 500)},
	{"not UTF-8", "a\xff\xfe<\xc0\xbcscript>"},
	{"NUL", "a\x00<b>"},
	{"10 KiB", strings.Repeat("A<b> ", 2048)},
	{"UTF-7 and backticks", "+ADw-script+AD4- `onerror=alert(1)`"},
	{"a script's address", "javascript:alert(1)//"},
}

// TestA34A40A16WhatOthersWroteStaysText writes each into each place of each page: the page keeps
// the shape that it has with harmless text, so nothing became markup.
func TestA34A40A16WhatOthersWroteStaysText(t *testing.T) {
	p := newPages(t, web.Options{Service: "Acme", Base: "/id"})
	for _, s := range samples {
		plain, err := s.make(p, web.Common{Request: "handle", CSRF: "token"}, "harmless")
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hostile {
			want := parse(t, plain.Body)
			if handle := "handle" + h.text; !web.FitsAddress(handle) { // then ways to other pages are forms
				long, err := s.make(p, web.Common{Request: strings.Repeat("h", len(handle)), CSRF: "token"}, "harmless")
				if err != nil {
					t.Fatal(err)
				}
				want = parse(t, long.Body)
			}
			t.Run(s.name+" "+h.name, func(t *testing.T) {
				page, err := s.make(p, web.Common{Request: "handle" + h.text, CSRF: "token" + h.text}, h.text)
				if err != nil {
					t.Fatal(err)
				}
				got := parse(t, page.Body)
				if got.shape() != want.shape() || got.comments != 0 {
					t.Errorf("the page changed its shape:\n%s", page.Body)
				}
				for _, e := range got.elements {
					for a, v := range e.attrs {
						link := a == "href" || a == "src" || a == "action"
						switch {
						case strings.HasPrefix(a, "on"), a == "style", a == "srcdoc", a == "formaction":
							t.Errorf("<%s %s=%q>", e.name, a, v)
						case slices.Contains([]string{"#email", "#password", "#username", "#current_password", "#code", "#new_password"},
							v): // from the list of problems
						case e.attrs["id"] == "totp-open" && strings.HasPrefix(v, "otpauth://totp/Acme:ada%40example.com?"):
						case link && !strings.HasPrefix(v, "https://") && !strings.HasPrefix(v, "/id/"):
							t.Errorf("<%s> leads to %q", e.name, v)
						}
					}
				}
				for _, name := range []string{"script", "img", "b"} {
					if len(got.all(name)) != len(want.all(name)) {
						t.Errorf("%d × <%s>, want %d", len(got.all(name)), name, len(want.all(name)))
					}
				}
				for _, r := range got.text {
					if unicode.In(r, unicode.Bidi_Control) || r == '\u200b' || r == '\u200c' || r == '\u2060' || r == '\ufeff' {
						t.Errorf("the text holds %U", r)
					}
				}
				if strings.ContainsAny(page.CSP, "\r\n*") ||
					strings.Count(page.CSP, "script-src") != strings.Count(plain.CSP, "script-src") {
					t.Errorf("CSP %q", page.CSP)
				}
				if len(got.text) > 8<<10 {
					t.Errorf("%d bytes of text", len(got.text))
				}
			})
		}
	}
}

// What came from the browser goes back into the fields byte for byte; HTML has no notation for NUL,
// and browsers read a bare CR as a line break.
func TestA16FieldsKeepWhatWasTyped(t *testing.T) {
	p := newPages(t, web.Options{})
	for _, h := range hostile {
		if h.name == "not UTF-8" || h.name == "NUL" || h.name == "10 KiB" {
			continue
		}
		t.Run(h.name, func(t *testing.T) {
			page, err := p.Login(web.LoginPage{Name: h.text})
			if err != nil {
				t.Fatal(err)
			}
			e, ok := parse(t, page.Body).id("email")
			if want := strings.ReplaceAll(h.text, "\r\n", "\n"); !ok || e.attrs["value"] != want {
				t.Errorf("the field holds %q, want %q", e.attrs["value"], want)
			}
		})
	}
}

func TestA16FormPostCarriesEachParameterAsItIs(t *testing.T) {
	p := newPages(t, web.Options{})
	state := strings.Repeat(`"><script>&code=x%0d%0aX:1 äöü 🦉 `, 300)
	parameters := [][2]string{{"code", "c-_~."}, {"state", state}, {"iss", "https://id.example"}}
	page, err := p.FormPost(web.FormPostPage{Action: "http://127.0.0.1:4711/cb?x=1&y=%22%3E", Parameters: parameters})
	if err != nil {
		t.Fatal(err)
	}
	d := parse(t, page.Body)
	forms, inputs := d.all("form"), d.all("input")
	if len(forms) != 1 || forms[0].attrs["action"] != "http://127.0.0.1:4711/cb?x=1&y=%22%3E" ||
		forms[0].attrs["method"] != "post" {
		t.Errorf("form %v", forms)
	}
	if len(inputs) != len(parameters) {
		t.Fatalf("%d inputs, want %d", len(inputs), len(parameters))
	}
	for n, i := range inputs {
		if i.attrs["name"] != parameters[n][0] || i.attrs["value"] != parameters[n][1] || i.attrs["type"] != "hidden" {
			t.Errorf("input %v, want %v", i.attrs, parameters[n])
		}
	}
	for _, action := range []string{"javascript:alert(1)", "data:text/html,x", "app.example:/cb", "/cb", "", "https:",
		"//evil.test/cb", "https://[::1"} {
		if page, err := p.FormPost(web.FormPostPage{Action: action}); err == nil {
			t.Errorf("a form to %q:\n%s", action, page.Body)
		}
	}
}

// TestA34LinksOfClients: what a client says of itself becomes a link only where that is https.
func TestA34LinksOfClients(t *testing.T) {
	p := newPages(t, web.Options{})
	for _, c := range []struct {
		uri  string
		link bool
	}{
		{"https://photos.example/x?y=1#z", true},
		{"https://photos.example:8443/x", true},
		{"HTTPS://PHOTOS.EXAMPLE/x", true},
		{"http://photos.example/x", false},
		{"javascript:alert(1)", false},
		{"JaVaScRiPt:alert(1)//https://photos.example", false},
		{" https://photos.example/x", false},
		{"data:image/svg+xml,<svg onload=alert(1)>", false},
		{"//photos.example/x", false},
		{"/logout", false},
		{"https:photos.example", false},
		{"https:///x", false},
		{"https://accounts.google.com@photos.example/", false},
		{"https://photos.example;script-src/x", true},
		{"https://*/x", true},
		{"https://[::1]/x", true},
		{"https://ph\u00f6tos.example/x", true},
		{"https://photos.example/" + strings.Repeat("x", 3000), false},
		{"https://photos.example/\r\nX: 1", false},
		{"", false},
	} {
		t.Run(c.uri, func(t *testing.T) {
			page, err := p.Consent(web.ConsentPage{
				Client: web.Client{Name: "Photos", PolicyURI: c.uri, TOSURI: c.uri, ClientURI: c.uri}})
			if err != nil {
				t.Fatal(err)
			}
			d := parse(t, page.Body)
			links := 0
			for _, a := range d.all("a") {
				if a.attrs["target"] == "_blank" {
					links++
					if a.attrs["rel"] != "noopener noreferrer" {
						t.Errorf("link %v", a.attrs)
					}
				}
			}
			if want := map[bool]int{true: 2}[c.link]; links != want {
				t.Errorf("%d links, want %d", links, want)
			}
			if images := d.all("img"); len(images) != 0 {
				t.Errorf("images %v", images)
			}
			if !strings.Contains(page.CSP, "img-src 'self';") || strings.Contains(page.CSP, "*") {
				t.Errorf("CSP %q", page.CSP)
			}
		})
	}
}

// TestA34LogosAreOurs: a logo is shown from a path of our own origin, and from nowhere else.
func TestA34LogosAreOurs(t *testing.T) {
	p := newPages(t, web.Options{Base: "/id"})
	for logo, shown := range map[string]bool{
		"/id/client-logo?client_id=web&v=1": true,
		"/client-logo?client_id=web":        false, // of another issuer at this host
		"/idx/client-logo":                  false,
		"https://photos.example/logo.png":   false,
		"//photos.example/id/logo.png":      false,
		"/\\photos.example/logo.png":        false,
		"\\\\photos.example/id/":            false,
		"data:image/png;base64,AAAA":        false,
		"javascript:alert(1)":               false,
		"id/client-logo":                    false,
		"/id/" + strings.Repeat("x", 3000):  false,
		"":                                  false,
	} {
		page, err := p.Consent(web.ConsentPage{Client: web.Client{Name: "Photos", Logo: logo}})
		if err != nil {
			t.Fatal(err)
		}
		images := parse(t, page.Body).all("img")
		if (len(images) == 1) != shown {
			t.Errorf("%q: images %v, want one: %t", logo, images, shown)
		}
		for _, i := range images {
			if i.attrs["src"] != logo || i.attrs["alt"] != "" {
				t.Errorf("image %v", i.attrs)
			}
		}
		if !strings.Contains(page.CSP, "img-src 'self';") {
			t.Errorf("CSP %q", page.CSP)
		}
	}
}

// TestA34NamesAreShownAsTheyLook: nothing invisible, nothing that turns, of bounded length.
func TestA34NamesAreShownAsTheyLook(t *testing.T) {
	p := newPages(t, web.Options{})
	for _, c := range []struct{ what, name, shown string }{
		{"as it is", "Läntern Photos 2", "Läntern Photos 2"},
		{"other scripts", "写真 фото صور", "写真 фото صور"},
		{"zero width", "Goo\u200bgle\ufeff", "Google"},
		{"right-to-left override", "\u202eelgoog\u202c", "elgoog"},
		{"isolates and tags", "a\u2066b\u2069c\U000e0041", "abc"},
		{"fillers that look empty", "a\u3164\u2800\u115fb", "ab"},
		{"line breaks and spaces", " a\r\n\t b\u00a0\u2003c ", "a b c"},
		{"marks", "Z" + strings.Repeat("\u0335", 9), "Z\u0335\u0335\u0335"},
		{"a mark on what stands before", "\u0335a", "a"},
		{"as long as a client's name may be", strings.Repeat("ä", 100), strings.Repeat("ä", 100)},
		{"longer", strings.Repeat("ä", 101), strings.Repeat("ä", 100) + "…"},
		{"Persian words, whose parts do not join", "می\u200cخواهم کتاب\u200cها", "می\u200cخواهم کتاب\u200cها"},
		{"as long in Persian", strings.Repeat("ها\u200c", 3) + strings.Repeat("ب\u200c", 93) + "ب",
			strings.Repeat("ها", 3) + strings.Repeat("ب\u200c", 93) + "ب"},
		{"a family, a heart, a profession", "👨\u200d👩\u200d👧 ❤\ufe0f\u200d🔥 👩🏽\u200d🚒",
			"👨\u200d👩\u200d👧 ❤\ufe0f\u200d🔥 👩🏽\u200d🚒"},
		{"Hindi, Malayalam, Bengali, Sinhala", "क्\u200dष क्\u200cष न\u0d4d\u200d র\u200d\u09cdয ක්\u200dය",
			"क्\u200dष क्\u200cष न\u0d4d\u200d র\u200d\u09cdয ක්\u200dය"},
		{"joiners between Latin letters", "Goo\u200dg\u200cle", "Google"},
		{"a non-joiner after an Arabic letter that joins nothing", "د\u200cا ا\u200cب", "دا اب"},
		{"a non-joiner between two scripts", "ب\u200ca a\u200cب ب\u200c1", "بa aب ب1"},
		{"a joiner between Arabic letters", "ب\u200dب", "بب"},
		{"two joiners in a row", "ب\u200c\u200cب 👨\u200d\u200d👩", "ب\u200cب 👨\u200d👩"},
		{"joiners at the ends and beside spaces", "\u200cب\u200c \u200cب 👨\u200d 👩\u200d", "ب ب 👨 👩"},
		{"a non-joiner after a virama at a word's end", "क्\u200c क्\u200ca", "क् क्a"},
		{"a virama after nothing", "a\u094d\u200dब", "a\u094dब"},
		{"pictures that are signs without a selector",
			"🏳\ufe0f\u200d🌈 🕵\ufe0f\u200d♂\ufe0f 🌶\ufe0f 🖥\ufe0f ©\ufe0f ™\ufe0f ‼\ufe0f",
			"🏳\ufe0f\u200d🌈 🕵\ufe0f\u200d♂\ufe0f 🌶\ufe0f 🖥\ufe0f ©\ufe0f ™\ufe0f ‼\ufe0f"},
		{"a key, a head that is shaken", "1\ufe0f\u20e3 🙂\u200d↔\ufe0f", "1\ufe0f\u20e3 🙂\u200d↔\ufe0f"},
		{"digits without a key", "1\ufe0f2\ufe0f #\ufe0f", "12 #"},
		{"a mark before a non-joiner", "نامهٔ\u200cمن کارٔ\u200cها", "نامهٔ\u200cمن کارٔها"},
		{"selectors where nothing changes", "a\ufe0f 😀\ufe0f b\ufe0e", "a 😀 b"},
		{"an emoji and a letter", "👨\u200da 👨\u200dب", "👨a 👨ب"},
		{"nothing", "", "An app without a name"},
		{"nothing to be seen", "\u200b\u202e \u00ad", "An app without a name"},
	} {
		t.Run(c.what, func(t *testing.T) {
			page, err := p.Login(web.LoginPage{Client: &web.Client{Name: c.name, FirstParty: true}})
			if err != nil {
				t.Fatal(err)
			}
			if want := "to continue to <bdi>" + html.EscapeString(c.shown) +
				"</bdi>"; !strings.Contains(string(page.Body), want) {
				t.Errorf("want %s:\n%s", want, page.Body)
			}
		})
	}
	t.Run("in the place of a logo that cannot be loaded, its first letter", func(t *testing.T) {
		for name, want := range map[string]string{"\u202e \"lantern": "L", "«żółw»": "Ż", "写真": "写", "👨": "·", "": "A"} {
			page, err := p.Login(web.LoginPage{Client: &web.Client{Name: name, Logo: "/client-logo?client_id=x"}})
			if err != nil {
				t.Fatal(err)
			}
			if images := parse(t, page.Body).all("img"); len(images) != 1 || images[0].attrs["data-initial"] != want {
				t.Errorf("%q: %v, want %s", name, images, want)
			}
		}
	})
	t.Run("the end of a long host, which says whose it is", func(t *testing.T) {
		page, err := p.Login(web.LoginPage{
			Client: &web.Client{Name: "x", Host: strings.Repeat("accounts.google.com.", 12) + "evil.example"}})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page.Body), "evil.example</bdi>") || strings.Count(string(page.Body), "google") > 3 {
			t.Errorf("%s", page.Body)
		}
	})
}
