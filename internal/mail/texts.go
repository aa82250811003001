package mail

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/languages"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/internal/strictjson"
)

// Texts holds the texts of letters in every language. Make one by LoadTexts.
type Texts struct {
	set *languages.Set
	own map[string]map[string]string // texts of the operator, by tag and name
}

// LoadTexts reads the section mail of every language, and the texts of an operator that replace
// ours; own is nil if there are none. A file in own is named after a language, such as de.json, and
// holds {"mail": {"footer": "…"}} with any of the texts. An error names every fault.
func LoadTexts(own fs.FS) (*Texts, error) {
	set, err := languages.Load(languages.Tags())
	if err != nil {
		return nil, err
	}
	t := &Texts{set: set, own: map[string]map[string]string{}}
	for _, name := range names() {
		if t.set.Default().Text("mail."+name) == "" {
			return nil, fmt.Errorf("the languages have no text mail.%s", name)
		}
	}
	if own != nil {
		if err := errors.Join(t.replace(own)...); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// text returns the text of that name.
func (t *Texts) text(l *languages.Language, name string) string {
	if text := t.own[l.Tag][name]; text != "" {
		return text
	}
	return l.Text("mail." + name)
}

const (
	maxTextsFile = 256 << 10
	maxText      = 2000
)

// replace reads an operator's texts. Such a text may leave out placeholders of ours, but has no
// others.
func (t *Texts) replace(own fs.FS) (problems []error) {
	entries, err := fs.ReadDir(own, ".")
	if err != nil {
		return []error{fmt.Errorf("the folder cannot be read: %w", plain(err))}
	}
	files := 0
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") {
			continue // of version control, or of a mounted secret
		}
		files++
		wrong := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("%s: "+format, append([]any{name}, args...)...))
		}
		tag := strings.TrimSuffix(name, ".json")
		if path.Ext(name) != ".json" || t.set.Of(tag) == nil {
			wrong("it is named after none of our languages; name it %s.json", strings.Join(languages.Tags(), ".json, "))
			continue
		}
		if info, err := fs.Stat(own, name); err != nil || !info.Mode().IsRegular() || info.Size() > maxTextsFile {
			wrong("it is no file of at most %d bytes", maxTextsFile)
			continue
		}
		raw, err := fs.ReadFile(own, name)
		if err != nil {
			wrong("%w", plain(err))
			continue
		}
		var d struct {
			Mail map[string]string `json:"mail"`
		}
		if err := strictjson.Unmarshal(raw, &d, strictjson.RefuseUnknown); err != nil {
			wrong("%w", err)
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(d.Mail)) {
			text := d.Mail[key]
			if !slices.Contains(names(), key) {
				wrong("there is no text %s; there are %s", key, strings.Join(names(), ", "))
				continue
			}
			ours := languages.Placeholders(t.set.Default().Text("mail." + key))
			for _, p := range languages.Placeholders(text) {
				if !slices.Contains(ours, p) {
					wrong("%s has the placeholder %s; it knows %s", key, p, strings.Join(ours, ", "))
				}
			}
			if text == "" || utf8.RuneCountInString(text) > maxText ||
				strings.HasSuffix(key, ".subject") && oneLine(text, maxSubject/2) != nil {
				wrong("%s is empty, too long, or a subject of more than one line", key)
			}
		}
		t.own[tag] = d.Mail
	}
	if files == 0 && problems == nil {
		problems = append(problems, errors.New("the folder holds no texts; put a file such as en.json into it"))
	}
	return problems
}

// plain returns err without the path, which its reader knows.
func plain(err error) error {
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		return wrapped.Err
	}
	return err
}

// in returns the language for a reader whose locale is a BCP 47 tag. The pages choose in the same
// way.
func (t *Texts) in(locale string) *languages.Language {
	if l := t.set.Wanted([]string{locale}); l != nil {
		return l
	}
	return t.set.Default()
}

// needs lists the texts of a kind of message.
func needs(kind outbox.Kind) []string {
	names := []string{string(kind) + ".subject", string(kind) + ".body"}
	switch kind {
	case outbox.Test:
	case outbox.ResetPassword, outbox.VerifyEmail, outbox.ChangeEmail:
		names = append(names, "open_link", "enter_code", "not_asked")
	case outbox.FactorCode:
		names = append(names, "type_code")
	case outbox.Invite, outbox.AccountExists, outbox.UndoEmail, outbox.FactorAdded:
		names = append(names, "open_link")
	default:
		names = append(names, "not_you")
	}
	return append(names, "footer")
}

// names lists the texts of all kinds in alphabetical order.
func names() (all []string) {
	for _, kind := range outbox.Kinds {
		all = append(all, needs(kind)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
