package refusal_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/refusal"
)

func attrs(n *refusal.Note, reason string) string {
	var out []string
	for _, a := range n.Attrs(reason) {
		out = append(out, fmt.Sprintf("%s=%q", a.Key, a.Value.String()))
	}
	return strings.Join(out, " ")
}

func TestAttributesOfTheLogLine(t *testing.T) {
	made := "Zx3-" + strings.Repeat("aB9_", 9) + "qQ0"
	for name, row := range map[string]struct {
		note   func(ctx context.Context)
		reason string
		want   string
	}{
		"nothing": {func(context.Context) {}, "", ""},
		"a client and the handler's reason": {func(ctx context.Context) { refusal.Client(ctx, "web") }, "the secret is wrong",
			`client_id="web" reason="the secret is wrong"`},
		"the first client stays": {func(ctx context.Context) {
			refusal.Client(ctx, "")
			refusal.Client(ctx, "web")
			refusal.Client(ctx, "x")
		}, "",
			`client_id="web"`},
		"a refusal by redirect": {func(ctx context.Context) {
			refusal.RedirectURI(ctx, "https://u:p@app.test:8443/cb?code=1#f")
			refusal.Because(ctx, "login_required", "nobody is logged in")
		}, "", `redirect_uri="https://app.test:8443/cb" reason="nobody is logged in"`},
		"an address that is none": {func(ctx context.Context) { refusal.RedirectURI(ctx, "com.example.app:/cb#x?y") },
			"", `redirect_uri="com.example.app:/cb"`},
		"an address with an @ in a path": {func(ctx context.Context) { refusal.RedirectURI(ctx, "https://app.test/@me") }, "",
			`redirect_uri="https://app.test/@me"`},
		"what a terminal would obey": {func(ctx context.Context) {
			refusal.RedirectURI(ctx, "x:a\x1b[2Jb\nlevel=INFO")
		}, "", `redirect_uri="x:a` + "\ufffd[2Jb\ufffd" + `level=INFO"`},
		"what no client can be called": {func(ctx context.Context) { refusal.Client(ctx, "a\x1b[2Jb\nlevel=INFO") }, "",
			`client_id="(withheld: no client can have this name)"`},
		"a password as a name": {func(ctx context.Context) { refusal.Client(ctx, "correct horse battery staple") }, "",
			`client_id="(withheld: no client can have this name)"`},
		"no UTF-8": {func(ctx context.Context) { refusal.RedirectURI(ctx, "x:a\xffb") }, "",
			`redirect_uri="x:a` + "\ufffd" + `b"`},
		"a secret as a name": {func(ctx context.Context) { refusal.Client(ctx, made) }, "",
			`client_id="(withheld: it has the shape of a secret)"`},
		"a token as a name": {func(ctx context.Context) {
			refusal.Client(ctx, "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.x")
		}, "", `client_id="(withheld: it has the shape of a secret)"`},
		"an address as a name": {func(ctx context.Context) { refusal.Client(ctx, "https://app.test/cb?x=1") }, "",
			`client_id="https://app.test/cb"`},
		"an address with a password as a name": {func(ctx context.Context) { refusal.Client(ctx, "https://me:secret@app.test/cb#x") }, "",
			`client_id="https://app.test/cb"`},
		"a plain address as a name": {func(ctx context.Context) { refusal.Client(ctx, "http://app.test/cb") }, "",
			`client_id="(withheld: no client can have this name)"`},
		"a long name of a human": {func(ctx context.Context) {
			refusal.Client(ctx, "the-reporting-service-of-the-eu-region-x-12")
		}, "", `client_id="the-reporting-service-of-the-eu-region-x-12"`},
		"what is very long": {func(ctx context.Context) { refusal.RedirectURI(ctx, strings.Repeat("é", 5000)) }, "",
			`redirect_uri="` + strings.Repeat("é", 128) + `…"`},
	} {
		n := &refusal.Note{}
		row.note(refusal.With(t.Context(), n))
		if got := attrs(n, row.reason); got != row.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, row.want)
		}
	}
	// Without a request nothing is recorded.
	refusal.Client(t.Context(), "web")
	refusal.RedirectURI(t.Context(), "https://app.test")
	refusal.Because(t.Context(), "x", "y")
}
