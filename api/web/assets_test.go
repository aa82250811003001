package web_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/web"
)

const svg = `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><rect width="1" height="1"/></svg>`

var (
	picture = image.NewGray(image.Rect(0, 0, 2, 2))
	webp    = append([]byte("RIFF\x24\x00\x00\x00WEBPVP8 "), make([]byte, 24)...)
)

func encoded(t *testing.T, f func(*bytes.Buffer) error) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := f(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestALogoIsKnownByItsContent(t *testing.T) {
	for _, c := range []struct {
		what      string
		logo      []byte
		mediaType string // empty: refused
	}{
		{"PNG", encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, picture) }), "image/png"},
		{"JPEG", encoded(t, func(b *bytes.Buffer) error { return jpeg.Encode(b, picture, nil) }), "image/jpeg"},
		{"WebP", webp, "image/webp"},
		{"SVG", []byte(svg), "image/svg+xml"},
		{"SVG with a doctype and a comment before it",
			[]byte(`<!-- x --><!DOCTYPE svg><svg xmlns="http://www.w3.org/2000/svg"/>`), "image/svg+xml"},
		{"HTML", []byte("<!doctype html><svg xmlns='http://www.w3.org/2000/svg'></svg>"), ""},
		{"HTML with svg in it", []byte("<html xmlns='http://www.w3.org/1999/xhtml'><svg/></html>"), ""},
		{"svg of no namespace", []byte("<svg/>"), ""},
		{"SVG that ends in the middle", []byte(svg[:len(svg)-8]), ""},
		{"the first bytes of a PNG", []byte("\x89PNG\r\n\x1a\n"), ""},
		{"text", []byte("logo"), ""},
		{"XML without an element", []byte("<!-- -->"), ""},
		{"too large", append([]byte(svg), bytes.Repeat([]byte(" "), 256<<10)...), ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			p, err := web.New(web.Options{Logo: c.logo, Base: "/id", Service: "Acme"})
			if c.mediaType == "" {
				if err == nil || !strings.Contains(err.Error(), "the logo") {
					t.Errorf("taken: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			d := parse(t, pageOf(t, p, "error", web.Common{}).Body)
			images := d.all("img")
			if len(images) != 1 || images[0].attrs["alt"] != "Acme" {
				t.Fatalf("images %v", images)
			}
			name, ok := strings.CutPrefix(images[0].attrs["src"], "/id/assets/")
			body, mediaType, found := p.Asset(name)
			if !ok || !found || mediaType != c.mediaType || !bytes.Equal(body, c.logo) {
				t.Errorf("asset %s: %t %s", name, found, mediaType)
			}
			if icon, mediaType := p.Icon(); mediaType != c.mediaType || !bytes.Equal(icon, c.logo) {
				t.Errorf("the icon is %s", mediaType)
			}
		})
	}
}

func TestAThemeFollowsOurStylesheet(t *testing.T) {
	p := newPages(t, web.Options{Theme: []byte(":root { --signet-accent: #0a7d4f }")})
	for _, s := range samples {
		var sheets []string
		for _, l := range parse(t, pageOf(t, p, s.name, web.Common{}).Body).all("link") {
			if l.attrs["rel"] == "stylesheet" {
				sheets = append(sheets, l.attrs["href"])
			}
		}
		if len(sheets) != 2 || !strings.HasPrefix(sheets[0], "/assets/style.") ||
			!strings.HasPrefix(sheets[1], "/assets/theme.") {
			t.Errorf("%s: %q", s.name, sheets)
		}
		for _, sheet := range sheets {
			if _, mediaType, ok := p.Asset(strings.TrimPrefix(sheet, "/assets/")); !ok ||
				mediaType != "text/css; charset=utf-8" {
				t.Errorf("%s: %t, %q", sheet, ok, mediaType)
			}
		}
	}
	for what, css := range map[string][]byte{
		"too large":    bytes.Repeat([]byte("a"), 256<<10+1),
		"an image":     encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, picture) }),
		"a page":       []byte("\n <!doctype html>"),
		"holds a NUL":  []byte("a\x00b"),
		"not in UTF-8": []byte("a { content: '\xe4' }"),
	} {
		if _, err := web.New(web.Options{Theme: css}); err == nil || !strings.Contains(err.Error(), "the stylesheet") {
			t.Errorf("a stylesheet that is %s: %v", what, err)
		}
	}
	t.Run("all that cannot be used is told at once", func(t *testing.T) {
		_, err := web.New(web.Options{Theme: []byte("<"), Logo: []byte("x")})
		if err == nil || !strings.Contains(err.Error(), "the stylesheet") || !strings.Contains(err.Error(), "the logo") {
			t.Error(err)
		}
	})
}

func TestAnAssetsNameChangesWithItsContent(t *testing.T) {
	a, b := newPages(t, web.Options{Theme: []byte("a{}")}), newPages(t, web.Options{Theme: []byte("b{}")})
	sheet := func(p *web.Pages) string {
		links := parse(t, pageOf(t, p, "error", web.Common{}).Body).all("link")
		return strings.TrimPrefix(links[len(links)-1].attrs["href"], "/assets/")
	}
	if sheet(a) == sheet(b) {
		t.Error("two stylesheets have one name")
	}
	for _, name := range []string{sheet(b), "style.css", "", "../style.css", "static/style.css"} {
		if _, _, ok := a.Asset(name); ok {
			t.Errorf("there is an asset %q", name)
		}
	}
}

func TestNewRefusesWhatCannotStandOnAPage(t *testing.T) {
	for what, o := range map[string]web.Options{
		"a service name of two lines":        {Service: "a\nb"},
		"a service name that turns":          {Service: "a\u202eb"},
		"a service name that is too long":    {Service: strings.Repeat("a", 65)},
		"a service name that is not UTF-8":   {Service: "\xff"},
		"a base that ends in a slash":        {Base: "/id/"},
		"a base that is no path":             {Base: "id"},
		"a base that leads to another host":  {Base: "//evil.test"},
		"a base that is the root by another": {Base: "/"},
	} {
		if _, err := web.New(o); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	if _, err := web.New(web.Options{Service: "Ä & <Söhne>", Base: "/a/b"}); err != nil {
		t.Error(err)
	}
}
