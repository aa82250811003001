package mail_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/outbox"
)

// S-07: in the messages about second factors, too, what looks like a template is text, in an
// operator's own text as in the name of the service; and a text has only the placeholders of ours.
func TestS07FactorMessagesAreText(t *testing.T) {
	for _, kind := range []outbox.Kind{
		outbox.FactorCode, outbox.FactorAdded, outbox.FactorRemoved, outbox.FactorsReset, outbox.RecoveryCodeUsed,
	} {
		for _, text := range []string{"{{7*7}}", "<%= 7*7 %>", "${7*7}", "<b>49</b>", "%s%d"} {
			own := fmt.Sprintf(`{"mail": {"%s.body": %q, "%s.subject": "Code"}}`, kind, "An own text "+text, kind)
			texts, err := mail.LoadTexts(fstest.MapFS{"en.json": {Data: []byte(own)}})
			if strings.Contains(text, "{") {
				if err == nil || !strings.Contains(err.Error(), string(kind)+".body has the placeholder") {
					t.Errorf("S-07 %s: %s is taken as it is: %v", kind, text, err)
				}
				texts, err = mail.LoadTexts(nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			c := &mail.Composer{From: address(t, "a@b.test"), Service: text, Issuer: "https://id.test", Texts: texts}
			contents := outbox.Contents{To: "bob@example.test", Left: 49}
			switch kind {
			case outbox.FactorCode:
				contents.Code = "01234567"
			case outbox.FactorAdded:
				contents.Link = "/factor-undo/token"
			}
			l, err := c.ComposeWith(outbox.Message{ID: "id", Kind: kind, To: "bob@example.test", At: time.Unix(0, 0)}, contents)
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			if !strings.Contains(l.Text, text) || strings.Contains(l.HTML, "<b>") || strings.Contains(l.HTML, "<%") {
				t.Errorf("S-07 %s with %s:\n%s\n%s", kind, text, l.Text, l.HTML)
			}
			if strings.Contains(l.Text, "01234567") != (contents.Code != "") ||
				strings.Contains(l.Text, "https://id.test/factor-undo/token") != (contents.Link != "") ||
				strings.Contains(text, "{") && strings.Contains(l.Text, "left: 49") != (kind == outbox.RecoveryCodeUsed) {
				t.Errorf("%s: %s", kind, l.Text)
			}
		}
	}
}
