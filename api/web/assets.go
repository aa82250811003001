package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"image"
	_ "image/jpeg" // a logo may be one
	_ "image/png"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

//go:embed static/style.css static/page.js static/passkeys.js static/session.js static/icon.svg
var static embed.FS

// maxFile is the largest stylesheet or logo that an operator may give.
const maxFile = 256 << 10

// asset is a file that pages link to.
type asset struct {
	body      []byte
	mediaType string
}

// Asset is a file that pages link to: by name, with its media type and a hash in the name, so that it may be cached for
// ever. Serve it with AssetCSP. false: there is none.
func (p *Pages) Asset(name string) (body []byte, mediaType string, ok bool) {
	a, ok := p.assets[name]
	return a.body, a.mediaType, ok
}

// Icon is what stands for the service in a browser's tab: the operator's logo, else the letter.
func (p *Pages) Icon() (body []byte, mediaType string) {
	path := p.icon
	if p.logo != "" {
		path = p.logo
	}
	a := p.assets[strings.TrimPrefix(path, p.options.Base+"/assets/")]
	return a.body, a.mediaType
}

// add keeps a file and returns its path.
func (p *Pages) add(stem, extension, mediaType string, body []byte) string {
	sum := sha256.Sum256(body)
	name := stem + "." + base64.RawURLEncoding.EncodeToString(sum[:12]) + extension
	p.assets[name] = asset{body, mediaType}
	return p.options.Base + "/assets/" + name
}

// load makes the assets from what is embedded and what the operator chose; the error names all that cannot be used.
func (p *Pages) load() error {
	p.assets = make(map[string]asset)
	style, err := static.ReadFile("static/style.css")
	if err != nil {
		return err
	}
	icon, err := static.ReadFile("static/icon.svg")
	if err != nil {
		return err
	}
	script, err := static.ReadFile("static/page.js")
	if err != nil {
		return err
	}
	passkeys, err := static.ReadFile("static/passkeys.js")
	if err != nil {
		return err
	}
	p.script = p.add("page", ".js", "text/javascript; charset=utf-8", script)
	p.passkeyScript = p.add("passkeys", ".js", "text/javascript; charset=utf-8", passkeys)
	p.style = p.add("style", ".css", "text/css; charset=utf-8", style)
	icon = bytes.ReplaceAll(icon, []byte("LETTER"), []byte(template.HTMLEscapeString(p.letter)))
	p.icon = p.add("icon", ".svg", "image/svg+xml", icon)

	var problems []error
	if theme := p.options.Theme; len(theme) > 0 {
		if err := usableTheme(theme); err != nil {
			problems = append(problems, fmt.Errorf("the stylesheet %w", err))
		} else {
			p.theme = p.add("theme", ".css", "text/css; charset=utf-8", theme)
		}
	}
	if logo := p.options.Logo; len(logo) > 0 {
		extension, mediaType, err := sniff(logo)
		if err != nil {
			problems = append(problems, fmt.Errorf("the logo %w", err))
		} else {
			p.logo = p.add("logo", extension, mediaType, logo)
		}
	}
	return errors.Join(problems...)
}

var errTooLarge = fmt.Errorf("is larger than %d KiB: make it smaller", maxFile>>10)

func usableTheme(css []byte) error {
	switch {
	case len(css) > maxFile:
		return errTooLarge
	case !utf8.Valid(css) || bytes.IndexByte(css, 0) >= 0:
		return errors.New("is not a text in UTF-8")
	case bytes.HasPrefix(bytes.TrimSpace(css), []byte("<")):
		return errors.New("begins with <: give a CSS file, not HTML")
	}
	return nil
}

// sniff tells what kind of image b is, by its content: a file's name says nothing that browsers would believe.
func sniff(b []byte) (extension, mediaType string, err error) {
	if len(b) > maxFile {
		return "", "", errTooLarge
	}
	if bytes.HasPrefix(b, []byte("RIFF")) && len(b) > 20 && string(b[8:12]) == "WEBP" {
		return ".webp", "image/webp", nil
	}
	switch _, format, err := image.DecodeConfig(bytes.NewReader(b)); {
	case err == nil && format == "png":
		return ".png", "image/png", nil
	case err == nil && format == "jpeg":
		return ".jpg", "image/jpeg", nil
	}
	if isSVG(b) {
		return ".svg", "image/svg+xml", nil
	}
	return "", "", errors.New("is not an image: give PNG, JPEG, WebP or SVG")
}

// isSVG tells whether b is a well-formed document whose root is SVG's svg.
func isSVG(b []byte) bool {
	d := xml.NewDecoder(bytes.NewReader(b))
	root := false
	for {
		token, err := d.Token()
		if err != nil {
			return root && errors.Is(err, io.EOF)
		}
		switch e := token.(type) {
		case xml.Directive:
			if !bytes.HasPrefix(e, []byte("DOCTYPE svg")) {
				return false
			}
		case xml.StartElement:
			if !root && (e.Name.Local != "svg" || e.Name.Space != "http://www.w3.org/2000/svg") {
				return false
			}
			root = true
		}
	}
}

// initial is the letter that stands for a service which has no logo.
func initial(service string) string {
	for _, r := range service {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return strings.ToUpper(string(r))
		}
	}
	return "·"
}
