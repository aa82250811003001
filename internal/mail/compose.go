package mail

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/signet-id/signet/internal/device"
	"github.com/signet-id/signet/internal/languages"
	"github.com/signet-id/signet/internal/outbox"
)

// Composer makes letters of the messages in the outbox. Its fields come from the operator; of a
// message it shows only the address, the time, and a device by its names from fixed lists.
type Composer struct {
	From    Address
	ReplyTo Address // optional: zero
	Service string  // the name of the service for people
	Issuer  string  // the issuer's URL
	Texts   *Texts
	Logo    Picture // optional: zero
}

// ErrUnknownKind means that a newer server wrote the message.
var ErrUnknownKind = errors.New("this version does not know this kind of message; a newer server sends it")

// Compose makes the letter of a message that holds nothing but its text.
func (c *Composer) Compose(m outbox.Message) (Letter, error) {
	return c.ComposeWith(m, outbox.Contents{To: m.To, Locale: m.Locale})
}

// ComposeWith makes the letter of a message with its link and code.
func (c *Composer) ComposeWith(m outbox.Message, contents outbox.Contents) (Letter, error) {
	kind := m.Kind
	if contents.Kind != "" {
		kind = contents.Kind
	}
	if !slices.Contains(outbox.Kinds, m.Kind) || !slices.Contains(outbox.Kinds, kind) {
		return Letter{}, ErrUnknownKind
	}
	to, err := ParseAddress(contents.To)
	if err != nil {
		return Letter{}, err
	}
	id, err := NewMessageID(m.ID, c.From)
	if err != nil {
		return Letter{}, err
	}
	language := c.Texts.in(contents.Locale)
	values := map[string]string{
		"{service}": c.Service,
		"{issuer}":  c.Issuer,
		"{address}": to.String(),
		"{time}":    m.At.UTC().Format("2006-01-02 15:04") + " UTC",
	}
	if language.RTL { // behind Arabic letters a date is turned around (UAX 9), unless it is isolated
		values["{time}"] = "\u2066" + values["{time}"] + "\u2069"
	}
	if m.Kind == outbox.NewDevice {
		values["{device}"] = deviceName(language, m.Device)
	}
	if kind == outbox.RecoveryCodeUsed {
		values["{left}"] = strconv.Itoa(contents.Left)
	}
	if contents.Link != "" {
		values["{link}"] = strings.TrimRight(c.Issuer, "/") + contents.Link
	}
	if contents.Link != "" || contents.Code != "" {
		values["{code}"] = contents.Code
	}
	names := needs(kind)
	parts := make([][]segment, len(names))
	for i, name := range names {
		parts[i] = segments(c.Texts.text(language, name), values)
	}
	l := Letter{
		ID: id, From: c.From.Named(c.Service), ReplyTo: c.ReplyTo, To: to, Date: m.At,
		Language: language.Tag, Logo: c.Logo,
	}
	if l.Subject, err = NewSubject(plainText(parts[0])); err != nil {
		return Letter{}, err
	}
	body, footer := parts[1:len(parts)-1], parts[len(parts)-1]
	var text strings.Builder
	for _, p := range body {
		text.WriteString(plainText(p) + "\r\n\r\n")
	}
	text.WriteString("-- \r\n" + plainText(footer) + "\r\n")
	l.Text = text.String()
	direction := "ltr"
	if language.RTL {
		direction = "rtl"
	}
	var html bytes.Buffer
	err = page.Execute(&html, struct {
		Language, Direction, Subject, Service string
		HasLogo                               bool
		Body                                  [][]segment
		Footer                                []segment
	}{language.Tag, direction, l.Subject.String(), c.Service, c.Logo.data != nil, body, footer})
	if err != nil {
		return Letter{}, fmt.Errorf("compose %s: %w", kind, err)
	}
	l.HTML = html.String()
	return l, nil
}

// deviceName returns how people know a device. The pages use the same texts.
func deviceName(l *languages.Language, d device.Device) string {
	if !d.Known() {
		return l.Text("pages.account.device.unknown")
	}
	return strings.NewReplacer("{browser}", d.Browser, "{system}", d.System).Replace(l.Text("pages.account.device"))
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// segment is a part of a text, or a value in it.
type segment struct {
	Text  string
	Value bool
	Link  bool // it is an address of ours
}

// segments puts values into a text. It does not look for placeholders in the values.
func segments(text string, values map[string]string) (out []segment) {
	for text != "" {
		at := placeholder.FindStringIndex(text)
		if at == nil {
			return append(out, segment{Text: text})
		}
		name := text[at[0]:at[1]]
		value, known := values[name]
		if at[0] > 0 {
			out = append(out, segment{Text: text[:at[0]]})
		}
		if !known {
			value = name // an unknown placeholder stands for itself; the texts were checked
		}
		out = append(out, segment{Text: value, Value: known, Link: known && name == "{link}"})
		text = text[at[1]:]
	}
	return out
}

func plainText(parts []segment) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// page is the HTML of every letter. It loads nothing; its only picture is a part of the letter.
var page = template.Must(template.New("letter").Parse(`<!DOCTYPE html>
<html lang="{{.Language}}" dir="{{.Direction}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{{.Subject}}</title>
</head>
<body style="margin:0;padding:24px;font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif">
<div style="max-width:36em;margin:0 auto">
{{if .HasLogo}}<img src="cid:logo" alt="{{.Service}}" height="48" style="max-width:100%;border:0">{{else}}<p style="margin:0 0 16px;font-weight:bold"><bdi>{{.Service}}</bdi></p>{{end}}
<h1 style="font-size:22px;line-height:1.3">{{.Subject}}</h1>
{{range .Body}}<p>{{template "text" .}}</p>
{{end}}<p style="margin-top:32px;font-size:13px">{{template "text" .Footer}}</p>
</div>
</body>
</html>
{{define "text"}}{{range .}}{{if .Link}}<a href="{{.Text}}">{{.Text}}</a>{{else if .Value}}<bdi>{{.Text}}</bdi>{{else}}{{.Text}}{{end}}{{end}}{{end}}`))
