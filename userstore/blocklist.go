package userstore

import (
	"bytes"
	"compress/gzip"
	_ "embed" // for the list of passwords
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Passwords that are guessed first are refused (NIST SP 800-63B-4 section 3.1.1.2): those on a list
// of the most common ones, sequences that can be continued from their first letters, and passwords
// that consist of the names of the account and of the service. Comparisons ignore case, and are
// also made without punctuation.
//
// Only a password that consists entirely of such parts is refused. A password that merely contains
// some of them contains something else too, and a meter of its strength would only be a guess.

// Parts below these lengths are no hint: nearly every password contains some.
const (
	shortestRun     = 3 // 123, qwe, aaa
	longestSequence = 5 // a longer sequence consists of some of three to five
	shortestName    = 3 // ada
	shortestWord    = 4 // love
	maxNames        = 64
	// A repeated unit of up to this length needs no list: abababababababa.
	longestUnit = 4
	// longestParsed is the longest password in bytes that is searched for words. In a longer one
	// only repetitions and sequences are searched, so that the work stays small.
	longestParsed = 64
)

//go:embed blocklist/common-passwords.txt.gz
var commonGzip []byte

// commonPasswords is the list in the form in which passwords are compared. See blocklist/NOTICE.
var commonPasswords = sync.OnceValue(func() map[string]bool {
	z, err := gzip.NewReader(bytes.NewReader(commonGzip))
	if err != nil {
		panic("userstore: the embedded list of passwords: " + err.Error())
	}
	text, err := io.ReadAll(z)
	if err != nil {
		panic("userstore: the embedded list of passwords: " + err.Error())
	}
	list := make(map[string]bool, 20_000)
	for line := range strings.Lines(string(text)) {
		list[caseless(strings.TrimSpace(line))] = true
	}
	delete(list, "")
	return list
})

// sequences are short sequences of the keyboard, the alphabet and the digits, forwards and
// backwards. A longer sequence consists of several short ones.
var sequences = func() map[string]bool {
	sequences := map[string]bool{}
	for _, row := range []string{
		"123456789012345678901234567890", "0123456789012345678901234567890",
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
		"абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
		"1234567890qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "azertyuiopqsdfghjklmwxcvbn",
		"йцукенгшщзхъфывапролджэячсмитьбю",
		"1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "qazwsxedcrfvtgbyhnujmikolp", "1q2w3e4r5t6y7u8i9o0p",
		"147258369", "159357", "!@#$%^&*()_+", "!\"§$%&/()=",
	} {
		forth := []rune(row)
		back := slices.Clone(forth)
		slices.Reverse(back)
		for length := shortestRun; length <= longestSequence; length++ {
			for i := range len(forth) - length + 1 {
				sequences[string(forth[i:i+length])] = true
				sequences[string(back[i:i+length])] = true
			}
		}
	}
	return sequences
}()

// guessable refuses a password that is guessed first. service is the name of the service, in
// addition to the name of this product.
func guessable(password string, u User, service string) Fault {
	p := caseless(password)
	plain := alphanumeric(p)
	own := nameWords(u.Email, u.EmailKey, u.Username, u.UsernameKey, u.Claims.Name, u.Claims.GivenName,
		u.Claims.MiddleName, u.Claims.FamilyName, u.Claims.Nickname)
	host, _, _ := strings.Cut(service, ":") // service may have a port
	services := nameWords("signet", service, host)
	either := func(f func(string) bool) bool { return f(p) || plain != "" && f(plain) }
	consists := func(words ...string) func(string) bool {
		return func(s string) bool { return cover(s, words) }
	}
	switch {
	case commonPasswords()[p]:
		return Fault{CodeTooCommon, "The password is one of the most common ones, which are tried first; choose another. A few words in a row are fine."}
	case either(repeats), either(consists()):
		return Fault{CodeTooSimple, "The password is a repetition or a sequence, which is tried first; choose another. A few words in a row are fine."}
	case either(consists(own...)):
		return Fault{CodeOwnName, "The password consists of the account's own names; choose another."}
	case either(consists(services...)):
		return Fault{CodeServiceName, "The password consists of the name of this service; choose another."}
	case either(func(s string) bool { return coverWithOneCommonWord(s, append(own, services...)) }):
		return Fault{CodeTooCommon, "The password is a common word with a repetition, a sequence or a name; choose another. A few words in a row are fine."}
	}
	return Fault{}
}

// nameWords returns every name as a whole and every word of it, in the form in which they are
// compared.
func nameWords(names ...string) []string {
	var words []string
	add := func(s string) {
		if utf8.RuneCountInString(s) >= shortestName && len(words) < maxNames && !slices.Contains(words, s) {
			words = append(words, s)
		}
	}
	for _, name := range names {
		key := caseless(name)
		add(key)
		add(alphanumeric(key))
		local, _, _ := strings.Cut(key, "@")
		add(alphanumeric(local))
		for _, word := range strings.FieldsFunc(key, notAlphanumeric) {
			add(word)
		}
	}
	return words
}

func notAlphanumeric(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
}

func alphanumeric(s string) string {
	return strings.Map(func(r rune) rune {
		if notAlphanumeric(r) {
			return -1
		}
		return r
	}, s)
}

// repeats reports whether s is a short unit repeated over and over, the last one possibly cut off.
func repeats(s string) bool {
	r := []rune(s)
	for unit := 1; unit <= min(longestUnit, len(r)/2); unit++ {
		if slices.Equal(r[unit:], r[:len(r)-unit]) {
			return true
		}
	}
	return false
}

// cover reports whether s consists of runs, sequences and words and nothing else.
func cover(s string, words []string) bool {
	if len(s) > longestParsed {
		words = nil
	}
	reached := make([]bool, len(s)+1) // indexed by byte; no part ends within a character
	reached[0] = true
	for i := range s {
		if !reached[i] {
			continue
		}
		length, same := 0, true
		first, _ := utf8.DecodeRuneInString(s[i:])
		for at, r := range s[i:] {
			if length >= shortestRun && (same || sequences[s[i:i+at]]) {
				reached[i+at] = true
			}
			same = same && r == first
			if length++; length > longestSequence {
				break
			}
		}
		if length >= shortestRun && length <= longestSequence && (same || sequences[s[i:]]) {
			reached[len(s)] = true
		}
		for _, w := range words {
			if strings.HasPrefix(s[i:], w) {
				reached[i+len(w)] = true
			}
		}
	}
	return reached[len(s)]
}

// coverWithOneCommonWord is cover with one more word from the list, which may occur once or often.
// Several different words make a passphrase.
func coverWithOneCommonWord(s string, words []string) bool {
	if len(s) > longestParsed {
		return false
	}
	tried := map[string]bool{}
	for i := range s {
		for end := i + shortestWord; end <= len(s); end++ {
			w := s[i:end]
			if !commonPasswords()[w] || tried[w] {
				continue
			}
			tried[w] = true
			if cover(s, append(slices.Clip(words), w)) {
				return true
			}
		}
	}
	return false
}
