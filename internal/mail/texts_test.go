package mail_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/outbox"
)

var tags = []string{"en", "ar", "de", "es", "fr", "it", "ja", "nl", "pl", "pt-BR", "zh-Hans"}

// Every kind of message has its texts in every language, and nothing in them is left open.
func TestEveryMessageInEveryLanguage(t *testing.T) {
	c := composer(t)
	seen := map[string]string{}
	for _, kind := range outbox.Kinds {
		for _, tag := range tags {
			contents, links := outbox.Contents{To: "bob@example.test", Locale: tag}, 0
			if kind == outbox.ResetPassword || kind == outbox.VerifyEmail || kind == outbox.ChangeEmail {
				contents.Link, contents.Code, links = "/page/token", "01234567", 1
			}
			if kind == outbox.FactorCode {
				contents.Code = "01234567"
			}
			if kind == outbox.Invite || kind == outbox.AccountExists || kind == outbox.UndoEmail ||
				kind == outbox.FactorAdded {
				contents.Link = "/page/token"
			}
			l, err := c.ComposeWith(
				outbox.Message{
					ID:   "id",
					Kind: kind,
					To:   "typed@example.test",
					At:   time.Date(2026, 3, 1, 23, 4, 5, 0, time.FixedZone("", -3600)),
				},
				contents,
			)
			if err != nil {
				t.Fatalf("%s %s: %v", kind, tag, err)
			}
			all := l.Subject.String() + l.Text + l.HTML
			if l.Language != tag || strings.ContainsAny(l.Subject.String()+l.Text, "{}<>") ||
				!strings.Contains(l.Text, "bob@example.test") ||
				!strings.Contains(l.HTML, "<bdi>bob@example.test</bdi>") ||
				!strings.Contains(l.Text, "https://id.test") ||
				!strings.Contains(l.HTML, `lang="`+tag+`"`) {
				t.Errorf("%s %s in %s: %s\n%s", kind, tag, l.Language, l.Subject, l.Text)
			}
			if strings.Contains(l.HTML, `dir="rtl"`) != (tag == "ar") {
				t.Errorf("%s %s: the direction", kind, tag)
			}
			if links > 0 &&
				(!strings.Contains(l.Text, "https://id.test/page/token") || !strings.Contains(l.Text, "01234567") ||
					!strings.Contains(l.HTML, "<bdi>01234567</bdi>")) ||
				strings.Contains(l.HTML, `<a href="https://id.test/page/token">`) != (contents.Link != "") ||
				strings.Contains(l.Text, "typed@") {
				t.Errorf("%s %s: link and code: %s", kind, tag, l.Text)
			}
			if kind != outbox.Test && kind != outbox.VerifyEmail && kind != outbox.Invite &&
				!strings.Contains(l.Text, "2026-03-02 00:04 UTC") {
				t.Errorf("%s %s does not say when: %s", kind, tag, l.Text)
			}
			for _, remote := range []string{"src=\"http", "url(", "<link", "<script", "href", "@import"} {
				if strings.Contains(strings.ReplaceAll(l.HTML, `href="https://id.test/page/token"`, ""), remote) {
					t.Errorf("%s %s loads or leads to something: %s", kind, tag, remote)
				}
			}
			if other, twice := seen[all]; twice {
				t.Errorf("%s %s is %s", kind, tag, other)
			}
			seen[all] = fmt.Sprint(kind, tag)
		}
	}
	for locale, want := range map[string]string{"": "en", "de-CH": "de", "pt": "pt-BR", "pt-BR": "pt-BR",
		"zh-CN": "zh-Hans", "zh-TW": "en", "tlh": "en", "not a tag": "en", "fr-CA": "fr", "{{7*7}}": "en"} {
		if l, err := c.Compose(outbox.Message{ID: "id", Kind: outbox.PasswordSet, To: "bob@example.test",
			Locale: locale}); err != nil ||
			l.Language != want {
			t.Errorf("%q is written to in %s, want %s: %v", locale, l.Language, want, err)
		}
	}
	if _, err := c.Compose(outbox.Message{ID: "id", Kind: "other", To: "bob@example.test"}); err == nil {
		t.Error("a message of no kind was composed")
	}
}

// S-07: what looks like a template is text, wherever it comes from: a service's name, an address,
// an operator's text.
func TestS07TemplatesAreText(t *testing.T) {
	for _, text := range []string{"{{7*7}}", "{{.Service}}", "<%= 7*7 %>", "${7*7}", "#{7*7}", "{address}",
		"{time}{service}", "%s%d", "<b>49</b>", "\"onload=x", "&lt;49", "{{"} {
		texts, err := mail.LoadTexts(
			fstest.MapFS{
				"en.json": {
					Data: []byte(
						`{"mail": {"not_you": ` + fmt.Sprintf(
							"%q",
							strings.NewReplacer("{address}", "", "{time}", "", "{service}", "").Replace(text)+".",
						) + `}}`,
					),
				},
			},
		)
		if err != nil && !strings.ContainsAny(text, "{") {
			t.Fatal(err)
		}
		if err != nil { // a placeholder that the text does not know is refused at the start
			if texts, err = mail.LoadTexts(nil); err != nil {
				t.Fatal(err)
			}
		}
		to := "bob@example.test"
		if !strings.ContainsAny(text, "<> \"&;:()%.,[]@\\") {
			to = text + "@example.test"
		}
		c := &mail.Composer{From: address(t, "a@b.test"), Service: text, Issuer: "https://id.test", Texts: texts}
		l, err := c.Compose(outbox.Message{ID: "id", Kind: outbox.PasswordSet, To: to, At: time.Unix(49, 0)})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !strings.Contains(l.Text, "An operator of "+text+" set") || !strings.Contains(l.Text, to) {
			t.Errorf("%s is not there as it is:\n%s", text, l.Text)
		}
		if strings.Contains(l.HTML, "<b>") || strings.Contains(l.HTML, "<%") || strings.Contains(l.HTML, "\"onload") ||
			strings.Contains(l.HTML, ">49") {
			t.Errorf("%s became more than text:\n%s", text, l.HTML)
		}
	}
}

func TestOwnTexts(t *testing.T) {
	_, err := mail.LoadTexts(fstest.MapFS{
		"de.json": {
			Data: []byte(
				`{"mail": {"password_set.subject": "Neues Kennwort bei {service}", "footer": "Ihre Lantern GmbH"}}`,
			),
		}, ".git/config": {Data: []byte("x")},
	})
	if err == nil {
		t.Fatal("password_set.subject knows no {service}")
	}
	texts, err := mail.LoadTexts(fstest.MapFS{
		"de.json": {
			Data: []byte(`{"mail": {"password_set.subject": "Neues Kennwort", "footer": "Ihre Lantern GmbH"}}`),
		}, ".git/config": {Data: []byte("x")},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := composer(t)
	c.Texts = texts
	for locale, want := range map[string]string{"de": "Neues Kennwort", "fr": "Votre mot de passe a été remplacé"} {
		l, err := c.Compose(outbox.Message{ID: "id", Kind: outbox.PasswordSet, To: "bob@example.test", Locale: locale})
		if err != nil || l.Subject.String() != want ||
			strings.Contains(l.Text, "Ihre Lantern GmbH") != (locale == "de") {
			t.Errorf("%s: %s, %v\n%s", locale, l.Subject, err, l.Text)
		}
	}
	for name, want := range map[string]struct{ file, text, want string }{
		"a text that there is not": {"en.json", `{"mail": {"password_reset.subject": "x"}}`,
			"there is no text password_reset.subject; there are"},
		"a placeholder that there is not": {"en.json", `{"mail": {"footer": "{name}"}}`,
			"footer has the placeholder {name}; it knows {address}, {issuer}, {service}"},
		"a placeholder that is not closed": {"en.json", `{"mail": {"footer": "{address"}}`,
			"footer has the placeholder {address;"},
		"an empty text": {"en.json", `{"mail": {"footer": ""}}`, "footer is empty"},
		"a subject of two lines": {"en.json", `{"mail": {"test.subject": "a\nBcc: b"}}`,
			"test.subject is empty, too long, or a subject of more than one line"},
		"a subject that is long": {"en.json",
			`{"mail": {"test.subject": "` + strings.Repeat("a", 101) + `"}}`, "too long"},
		"another section": {"en.json", `{"pages": {"login.heading": "x"}}`, "pages"},
		"a name twice":    {"en.json", `{"mail": {"footer": "a", "footer": "b"}}`, "footer"},
		"no JSON":         {"en.json", `mail: x`, "en.json"},
		"a language that there is not": {"tlh.json", `{"mail": {}}`,
			"none of our languages; name it en.json, ar.json, de.json"},
		"a file that is no text":           {"en.html", `<p>`, "none of our languages"},
		"a tag in another case":            {"EN.json", `{"mail": {}}`, "none of our languages"},
		"nothing at all":                   {".keep", ``, "holds no texts"},
		"a file that is far too long":      {"en.json", strings.Repeat(" ", 300<<10) + `{}`, "262144"},
		"a folder that is named as a file": {"en.json/x", `{}`, "no file"},
		"a text that is far too long": {"en.json",
			`{"mail": {"footer": "` + strings.Repeat("a", 2001) + `"}}`, "too long"},
		"a text that would be a line break": {"en.json", `{"mail": {"email_set.subject": "a\u2028b"}}`, "more than one line"},
	} {
		_, err := mail.LoadTexts(fstest.MapFS{want.file: {Data: []byte(want.text)}})
		if err == nil || !strings.Contains(err.Error(), want.want) {
			t.Errorf("%s: %v, want %q", name, err, want.want)
		}
	}
	if _, err := mail.LoadTexts(os.DirFS(filepath.Join(t.TempDir(), "none"))); err == nil ||
		strings.Contains(err.Error(), t.TempDir()) {
		t.Errorf("no folder: %v", err)
	}
}

// A logo travels with the letter.
func TestLogo(t *testing.T) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	files := &mail.Files{Folder: filepath.Join(t.TempDir(), "mail")}
	for _, logo := range []struct {
		data  []byte
		there bool
	}{{picture.Bytes(), true}, {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), false}, {nil, false}} {
		c := composer(t)
		c.Logo = mail.NewPicture(logo.data)
		l, err := c.Compose(outbox.Message{ID: "id", Kind: outbox.Test, To: "bob@example.test"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := files.Send(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(files.Path(l))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(raw), "Content-Id: <logo>") ||
			strings.Contains(string(raw), "Content-ID: <logo>"); got != logo.there ||
			strings.Contains(l.HTML, "cid:logo") != logo.there {
			t.Errorf("%d bytes: there is a picture: %t\n%s", len(logo.data), got, raw)
		}
	}
}

func TestFiles(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data", "mail")
	files := &mail.Files{Folder: folder}
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	c := composer(t)
	send := func(n int) mail.Letter {
		l, err := c.Compose(
			outbox.Message{
				ID:   fmt.Sprintf("id%d", n),
				Kind: outbox.PasswordSet,
				To:   "bob@example.test",
				At:   at.Add(time.Duration(n) * time.Minute),
			},
		)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := files.Send(t.Context(), l); err != nil || answer != "written to "+files.Path(l) {
			t.Fatalf("%q, %v", answer, err)
		}
		return l
	}
	send(0)
	if err := os.WriteFile(filepath.Join(folder, "notes.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range 130 {
		send(n)
	}
	send(129)
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	letters := 0
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
		if strings.HasSuffix(e.Name(), ".eml") {
			letters++
		} else if e.Name() != "notes.txt" {
			t.Errorf("%s was left", e.Name())
		}
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 || letters != 100 ||
		entries[0].Name() != "20261125T123000.000000Z-id30.eml" {
		t.Errorf("%d letters, the first is %s; %v, %v", letters, entries[0].Name(), info.Mode(), err)
	}

	files = &mail.Files{Folder: filepath.Join(folder, "notes.txt")}
	l, err := c.Compose(outbox.Message{ID: "id", Kind: outbox.Test, To: "bob@example.test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.Send(t.Context(), l); err == nil ||
		!strings.Contains(err.Error(), "cannot be written to "+files.Folder) {
		t.Errorf("a folder that is a file: %v", err)
	}
}
