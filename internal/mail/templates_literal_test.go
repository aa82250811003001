package mail_test

import (
	"encoding/json"
	"html"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/outbox"
)

// S-07: an operator's text in mail.templates is text: what looks like a template of any kind stands
// in the letter as it is, or is refused at the start because it looks like a placeholder of ours.
func TestS07OperatorsTextsAreLiteral(t *testing.T) {
	const service = "{{7*7}} {address} ${7*7} <i>"
	for text, refused := range map[string]bool{
		"<%= 7*7 %>": false, "<?= 7*7 ?>": false, "[[7*7]]": false, "@(7*7)": false, "`7*7`": false, "%s %d %!": false,
		"$(id)":     false,
		"<b>49</b>": false, "<script>alert(49)</script>": false, "&lt;49&gt;": false, `"onload=x`: false, "$$7*7$$": false,
		"\\u0049": false,
		"{{7*7}}": true, "{{.Service}}": true, "{% 7*7 %}": true, "${7*7}": true, "#{7*7}": true, "*{7*7}": true, "{{": true,
		"{code}": true, "{link}": true, "{ service }": true, "{SERVICE}": true, "{service": true,
	} {
		for _, name := range []string{"password_set.body", "password_set.subject", "not_you", "footer"} {
			own, want := text+" for {service}", text+" for "+service
			if strings.HasSuffix(name, ".subject") { // which has no placeholder
				own, want = text, text
			}
			doc, err := json.Marshal(map[string]any{"mail": map[string]string{name: own}})
			if err != nil {
				t.Fatal(err)
			}
			texts, err := mail.LoadTexts(fstest.MapFS{"en.json": {Data: doc}})
			if refused {
				if err == nil || !strings.Contains(err.Error(), "en.json: "+name+" has the placeholder") {
					t.Errorf("S-07 %s %q: %v", name, text, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("S-07 %s %q is refused: %v", name, text, err)
				continue
			}
			c := &mail.Composer{From: address(t, "a@b.test"), Service: service, Issuer: "https://id.test", Texts: texts}
			l, err := c.Compose(
				outbox.Message{ID: "id", Kind: outbox.PasswordSet, To: "bob@example.test", At: time.Unix(1_000_000, 0)},
			)
			if err != nil {
				t.Errorf("S-07 %s %q: %v", name, text, err)
				continue
			}
			if in := l.Subject.String() + "\n" + l.Text; !strings.Contains(in, want) {
				t.Errorf("S-07 %s %q is not in the text as it is:\n%s", name, text, in)
			}
			if plain := html.UnescapeString(strings.NewReplacer("<bdi>", "", "</bdi>", "").Replace(l.HTML)); !strings.Contains(
				plain,
				want,
			) {
				t.Errorf("S-07 %s %q is not in the HTML as it is:\n%s", name, text, l.HTML)
			}
			for _, markup := range []string{"<b>", "<i>", "<%", "<?", "<script", `"onload`} {
				if strings.Contains(l.HTML, markup) {
					t.Errorf("S-07 %s %q became markup:\n%s", name, text, l.HTML)
				}
			}
		}
	}
}
