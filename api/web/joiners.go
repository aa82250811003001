package web

import (
	"unicode"
)

// Characters that show nothing themselves but change how their neighbours are written.
const (
	nonJoiner     = '\u200c' // ZERO WIDTH NON-JOINER
	joiner        = '\u200d' // ZERO WIDTH JOINER
	emojiSelector = '\ufe0f' // VARIATION SELECTOR-16: the emoji, not the sign
)

// needed tells whether r, one of these, changes what is seen where it stands: after before, ahead of after. The rules are
// those of RFC 5892 appendix A.1 and A.2 and of UTS 51, without the scripts that nobody here has asked for. Anywhere
// else such a character is invisible and could tell two names apart that look the same.
func needed(before []rune, r rune, after []rune) bool {
	last, next := at(before, len(before)-1), at(after, 0)
	switch r {
	case nonJoiner:
		return dualJoining(letter(before)) && joins(next) || conjunct(before) && unicode.Is(unicode.Lo, next)
	case joiner:
		return conjunct(before) || last == bengaliRa && next == bengaliVirama || pictured(before) && emoji(next)
	case emojiSelector:
		return unicode.Is(textual, last) || emoji(last) && last < 0x1f000 || keycap(last) && next == '\u20e3'
	}
	return false
}

// letter returns the last character of text that is no mark: marks join nothing and part nothing
// (Joining_Type T).
func letter(text []rune) rune {
	n := len(text) - 1
	for n >= 0 && unicode.Is(unicode.Mn, text[n]) {
		n--
	}
	return at(text, n)
}

func at(text []rune, n int) rune {
	if n < 0 || n >= len(text) {
		return 0
	}
	return text[n]
}

// rightJoining are Arabic letters that join only what stands before them: after these, a non-joiner shows nothing.
var rightJoining = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x0622, Hi: 0x0625, Stride: 1}, {Lo: 0x0627, Hi: 0x0627, Stride: 1}, {Lo: 0x0629, Hi: 0x0629, Stride: 1},
	{Lo: 0x062f, Hi: 0x0632, Stride: 1}, {Lo: 0x0648, Hi: 0x0648, Stride: 1}, {Lo: 0x0671, Hi: 0x0673, Stride: 1},
	{Lo: 0x0675, Hi: 0x0677, Stride: 1}, {Lo: 0x0688, Hi: 0x0699, Stride: 1}, {Lo: 0x06c0, Hi: 0x06c0, Stride: 1},
	{Lo: 0x06c3, Hi: 0x06cb, Stride: 1}, {Lo: 0x06cd, Hi: 0x06cd, Stride: 1}, {Lo: 0x06cf, Hi: 0x06cf, Stride: 1},
	{Lo: 0x06d2, Hi: 0x06d3, Stride: 1}, {Lo: 0x06d5, Hi: 0x06d5, Stride: 1}, {Lo: 0x06ee, Hi: 0x06ef, Stride: 1},
}}

// joins tells whether r is an Arabic letter that joins the one before it.
func joins(r rune) bool {
	return r >= 0x0620 && r <= 0x06ff && unicode.Is(unicode.Lo, r) && r != 0x0621 && r != 0x0674
}

// dualJoining tells whether r is one that joins on both sides.
func dualJoining(r rune) bool { return joins(r) && !unicode.Is(rightJoining, r) }

const (
	bengaliRa     = '\u09b0' // with a joiner between, RA and VIRAMA are written as another form
	bengaliVirama = '\u09cd'
)

// viramas are the marks of Indic scripts that take a consonant's vowel: a joiner after one asks for another form.
var viramas = map[rune]bool{
	'\u094d': true, bengaliVirama: true, '\u0a4d': true, '\u0acd': true, '\u0b4d': true,
	'\u0bcd': true, '\u0c4d': true, '\u0ccd': true, '\u0d4d': true, '\u0dca': true,
}

// conjunct tells whether text ends in a letter and a virama.
func conjunct(text []rune) bool {
	n := len(text)
	if !viramas[at(text, n-1)] {
		return false
	}
	letter := at(text, n-2)
	return unicode.Is(unicode.Lo, letter) || unicode.Is(unicode.M, letter) && unicode.Is(unicode.Lo, at(text, n-3)) // with a nukta
}

// textual are the characters that are signs without a selector and pictures with one
// (Emoji_Presentation=No), where the block does not tell: below U+1F000 nearly all are.
var textual = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x00a9, Hi: 0x00a9, Stride: 1}, {Lo: 0x00ae, Hi: 0x00ae, Stride: 1}, {Lo: 0x203c, Hi: 0x203c, Stride: 1},
		{Lo: 0x2049, Hi: 0x2049, Stride: 1}, {Lo: 0x2122, Hi: 0x2122, Stride: 1}, {Lo: 0x2139, Hi: 0x2139, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1f170, Hi: 0x1f171, Stride: 1}, {Lo: 0x1f17e, Hi: 0x1f17f, Stride: 1}, {Lo: 0x1f202, Hi: 0x1f202, Stride: 1},
		{Lo: 0x1f237, Hi: 0x1f237, Stride: 1}, {Lo: 0x1f321, Hi: 0x1f321, Stride: 1}, {Lo: 0x1f324, Hi: 0x1f32c, Stride: 1},
		{Lo: 0x1f336, Hi: 0x1f336, Stride: 1}, {Lo: 0x1f37d, Hi: 0x1f37d, Stride: 1}, {Lo: 0x1f396, Hi: 0x1f397, Stride: 1},
		{Lo: 0x1f399, Hi: 0x1f39b, Stride: 1}, {Lo: 0x1f39e, Hi: 0x1f39f, Stride: 1}, {Lo: 0x1f3cb, Hi: 0x1f3ce, Stride: 1},
		{Lo: 0x1f3d4, Hi: 0x1f3df, Stride: 1}, {Lo: 0x1f3f3, Hi: 0x1f3f3, Stride: 1}, {Lo: 0x1f3f5, Hi: 0x1f3f5, Stride: 1},
		{Lo: 0x1f3f7, Hi: 0x1f3f7, Stride: 1}, {Lo: 0x1f43f, Hi: 0x1f43f, Stride: 1}, {Lo: 0x1f441, Hi: 0x1f441, Stride: 1},
		{Lo: 0x1f4fd, Hi: 0x1f4fd, Stride: 1}, {Lo: 0x1f549, Hi: 0x1f54a, Stride: 1}, {Lo: 0x1f56f, Hi: 0x1f570, Stride: 1},
		{Lo: 0x1f573, Hi: 0x1f579, Stride: 1}, {Lo: 0x1f587, Hi: 0x1f587, Stride: 1}, {Lo: 0x1f58a, Hi: 0x1f58d, Stride: 1},
		{Lo: 0x1f590, Hi: 0x1f590, Stride: 1}, {Lo: 0x1f5a5, Hi: 0x1f5a5, Stride: 1}, {Lo: 0x1f5a8, Hi: 0x1f5a8, Stride: 1},
		{Lo: 0x1f5b1, Hi: 0x1f5b2, Stride: 1}, {Lo: 0x1f5bc, Hi: 0x1f5bc, Stride: 1}, {Lo: 0x1f5c2, Hi: 0x1f5c4, Stride: 1},
		{Lo: 0x1f5d1, Hi: 0x1f5d3, Stride: 1}, {Lo: 0x1f5dc, Hi: 0x1f5de, Stride: 1}, {Lo: 0x1f5e1, Hi: 0x1f5e1, Stride: 1},
		{Lo: 0x1f5e3, Hi: 0x1f5e3, Stride: 1}, {Lo: 0x1f5e8, Hi: 0x1f5e8, Stride: 1}, {Lo: 0x1f5ef, Hi: 0x1f5ef, Stride: 1},
		{Lo: 0x1f5f3, Hi: 0x1f5f3, Stride: 1}, {Lo: 0x1f5fa, Hi: 0x1f5fa, Stride: 1}, {Lo: 0x1f6cb, Hi: 0x1f6cb, Stride: 1},
		{Lo: 0x1f6cd, Hi: 0x1f6cf, Stride: 1}, {Lo: 0x1f6e0, Hi: 0x1f6e5, Stride: 1}, {Lo: 0x1f6e9, Hi: 0x1f6e9, Stride: 1},
		{Lo: 0x1f6f0, Hi: 0x1f6f0, Stride: 1}, {Lo: 0x1f6f3, Hi: 0x1f6f3, Stride: 1},
	},
	LatinOffset: 2,
}

// keycap tells whether r is written on a key: with a selector and U+20E3 behind it.
func keycap(r rune) bool { return r >= '0' && r <= '9' || r == '#' || r == '*' }

// emoji tells whether r is a picture.
func emoji(r rune) bool {
	return (unicode.Is(unicode.So, r) || r == '\u2194') && (r >= 0x2190 && r <= 0x2bff || r >= 0x1f000 && r <= 0x1faff)
}

// pictured tells whether text ends in an emoji, with or without a selector or a tone of skin.
func pictured(text []rune) bool {
	n := len(text) - 1
	if last := at(text, n); last == emojiSelector || last >= 0x1f3fb && last <= 0x1f3ff {
		n--
	}
	return emoji(at(text, n))
}
