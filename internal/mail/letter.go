package mail

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	netmail "net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"github.com/signet-id/signet/userstore"
)

// Address is an address that is safe in a header and in an envelope. The zero value is no address.
type Address struct {
	name    string // shown beside the address; may be empty
	address string
}

// ParseAddress reads a plain address, by the rules of accounts. The domain becomes ASCII, as mail
// servers want it.
func ParseAddress(text string) (Address, error) {
	key, ok := userstore.EmailKey(text)
	if !ok {
		return Address{}, errors.New("it is not an email address; write one like name@example.com")
	}
	local, _, _ := strings.Cut(strings.Trim(text, " "), "@")
	return Address{address: local + key[strings.LastIndexByte(key, '@'):]}, nil
}

// ParseMailbox reads an address with a name before it, such as Example <no-reply@example.com>, or
// without one.
func ParseMailbox(text string) (Address, error) {
	if plain, err := ParseAddress(text); err == nil {
		return plain, nil
	}
	parsed, err := netmail.ParseAddress(text)
	if err != nil || oneLine(parsed.Name, maxName) != nil {
		return Address{}, errors.New("it is neither an address like no-reply@example.com nor a name with one, " +
			"like Example <no-reply@example.com>")
	}
	a, err := ParseAddress(parsed.Address)
	return a.Named(parsed.Name), err
}

// Named returns a with the name if a has none. A name that is not one line is left out.
func (a Address) Named(name string) Address {
	if a.name == "" && oneLine(name, maxName) == nil {
		a.name = name
	}
	return a
}

// String is the address without the name.
func (a Address) String() string { return a.address }

func (a Address) domain() string { return a.address[strings.LastIndexByte(a.address, '@')+1:] }

func (a Address) header() *netmail.Address { return &netmail.Address{Name: a.name, Address: a.address} }

// Subject is a line of text that can be a header.
type Subject struct{ text string }

const (
	maxName    = 100
	maxSubject = 200
)

// NewSubject takes a text of one line.
func NewSubject(text string) (Subject, error) {
	if text == "" {
		return Subject{}, errors.New("a subject is empty")
	}
	if err := oneLine(text, maxSubject); err != nil {
		return Subject{}, fmt.Errorf("a subject %w", err)
	}
	return Subject{text}, nil
}

// String is the text.
func (s Subject) String() string { return s.text }

// oneLine refuses characters that could end a header or hide in one.
func oneLine(text string, most int) error {
	hidden := func(r rune) bool {
		return !unicode.IsPrint(r) && r != '\u00a0' && r != '\u200c' && r != '\u200d'
	}
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, hidden):
		return errors.New("holds a line break or another character that cannot be seen")
	case utf8.RuneCountInString(text) > most:
		return fmt.Errorf("is longer than %d characters", most)
	}
	return nil
}

// MessageID identifies a message. A second copy has the same one.
type MessageID struct{ text string }

// NewMessageID joins a random id in base64url and the domain of the sender.
func NewMessageID(id string, from Address) (MessageID, error) {
	if id == "" || strings.ContainsFunc(id, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}) {
		return MessageID{}, fmt.Errorf("%q is not the id of a message", id)
	}
	return MessageID{id + "@" + from.domain()}, nil
}

// String is the id without the angle brackets.
func (m MessageID) String() string { return m.text }

// Picture is an image that is a part of a letter. The zero value is no picture.
type Picture struct {
	data []byte
	kind string
}

// NewPicture takes a PNG or JPEG. It returns no picture for other data, which mail programs do not
// show.
func NewPicture(data []byte) Picture {
	if kind := http.DetectContentType(data); kind == "image/png" || kind == "image/jpeg" {
		return Picture{data, kind}
	}
	return Picture{}
}

// Letter is a message as it is sent. Composer makes one.
type Letter struct {
	ID       MessageID
	From     Address
	ReplyTo  Address // may be zero
	To       Address
	Subject  Subject
	Date     time.Time
	Language string // a BCP 47 tag
	Text     string
	HTML     string
	Logo     Picture // HTML refers to it as cid:logo
}

// message converts l for the library.
func (l Letter) message() (*gomail.Msg, error) {
	if l.ID.text == "" || l.From.address == "" || l.To.address == "" || l.Subject.text == "" {
		return nil, errors.New("a letter needs id, sender, recipient and subject")
	}
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(l.From.header())
	m.ToMailAddress(l.To.header())
	if l.ReplyTo.address != "" {
		m.SetAddrHeaderFromMailAddress(gomail.HeaderReplyTo, l.ReplyTo.header())
	}
	m.SetMessageIDWithValue(l.ID.text)
	m.SetDateWithValue(l.Date.UTC())
	m.Subject(l.Subject.text)
	// RFC 3834: automatic responders do not answer such a message.
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	m.SetGenHeader(gomail.HeaderContentLang, l.Language)
	m.SetBodyString(gomail.TypeTextPlain, l.Text)
	m.AddAlternativeString(gomail.TypeTextHTML, l.HTML)
	if l.Logo.data != nil {
		err := m.EmbedReader("logo", bytes.NewReader(l.Logo.data),
			gomail.WithFileContentType(gomail.ContentType(l.Logo.kind)), gomail.WithFileContentID("<logo>"))
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}
