package totp

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// URI returns the key as apps take it from a QR code: the Key URI Format of Google Authenticator.
// The app shows issuer and account beside the code.
//
// The format allows no colon in either name, because a colon separates them, and apps disagree on
// how a second one is read: both names have a space instead. All characters but letters, digits and
// -._~ are percent-encoded; a space is %20, because some apps show a + as it is.
func (k Key) URI(issuer, account string) string {
	issuer, account = labelPart(issuer), labelPart(account)
	label, parameter := account, ""
	if issuer != "" {
		label, parameter = issuer+":"+account, "&issuer="+issuer
	}
	return fmt.Sprintf("otpauth://totp/%s?secret=%s%s&algorithm=%s&digits=%d&period=%d",
		label, k.Text(), parameter, k.Algorithm, k.Digits, k.Period)
}

// maxLabelPart is the longest name in bytes, percent-encoded. Whatever the names are, the QR code
// of the URI has few enough modules for a camera.
const maxLabelPart = 200

// labelPart makes a name fit into the label, and percent-encodes it. It shortens a long name.
func labelPart(name string) string {
	words := strings.FieldsFunc(strings.ToValidUTF8(name, "\ufffd"), func(r rune) bool {
		return r == ':' || unicode.IsSpace(r) || unicode.IsControl(r)
	})
	name = strings.Join(words, " ")
	encoded := percentEncoded(name)
	for i := min(len(name), maxLabelPart); len(encoded) > maxLabelPart; encoded = percentEncoded(name[:i] + "…") {
		_, size := utf8.DecodeLastRuneInString(name[:i])
		i -= size
	}
	return encoded
}

func percentEncoded(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
