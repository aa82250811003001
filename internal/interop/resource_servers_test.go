//go:build interop

package interop

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// api starts a resource server of the document at localhost:3000, in the place of the app before,
// and tries it.
func (d *document) api(t *testing.T, where, page, script string) {
	t.Helper()
	trial := newTrial(t, page, d.mint)
	trial.ask = func(t *testing.T, token string) (int, string) {
		t.Helper()
		return askAt(t, d.origin+"/orders", token)
	}
	end(&d.running)
	d.running, d.appLog = d.start(t, where, script)
	d.poll(t, where, func() bool {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(d.origin, "http://"), time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	trial.run(t)
}

// trial sends every hostile and honest token to one resource server, and holds
// docs/resource-servers/compatibility.md to what verifiers may do one way or the other.
type trial struct {
	page string
	says map[string]string // the page's row there, by column
	mint *mint
	ask  func(t *testing.T, token string) (status int, challenge string)

	rs, prepublished, fresh, es, ed mintKey
	stranger                        mintKey // in no key set
}

// newTrial publishes the keys, which the resource server must find when it starts.
func newTrial(t *testing.T, page string, m *mint) *trial {
	t.Helper()
	r := &trial{
		page: page, says: compatibility(t, page), mint: m, rs: newMintKey(t, "RS256"), prepublished: newMintKey(t, "RS256"),
		fresh: newMintKey(t, "RS256"), stranger: newMintKey(t, "RS256"), es: newMintKey(t, "ES256"), ed: newMintKey(t, "EdDSA"),
	}
	m.publish(t, r.published()...)
	return r
}

func (r *trial) published() []mintKey { return []mintKey{r.rs, r.prepublished, r.es, r.ed} }

func (r *trial) run(t *testing.T) {
	t.Helper()
	honest := r.honestTokens(t)
	for _, token := range slices.Concat(honest, r.hostileTokens(t)) {
		r.judge(t, token)
	}

	// Verification goes on while the issuer cannot be reached, and lets in nobody whom it cannot know.
	r.mint.cut.Store(true)
	r.judge(t, honest[0])
	if status, _ := r.ask(t, r.stranger.sign(t, r.stranger.header(nil), r.mint.accessToken())); status < 400 {
		t.Errorf("%s: an unknown kid was answered %d without the issuer", r.page, status)
	}
	r.mint.cut.Store(false)

	r.learn(t)
}

// learn publishes a fresh key, of which the verifier could not know in advance. Its neighbour in the
// key set is of a type that verifiers need not know.
func (r *trial) learn(t *testing.T) {
	t.Helper()
	all := append(r.published(), r.fresh)
	r.mint.publish(t, all...)
	r.mint.publishAs(append(r.mint.published, unknownType())...)
	if r.says["a key of an unknown type"] == "refuses the set" {
		for late := time.Now().Add(45 * time.Second); time.Now().Before(late); time.Sleep(time.Second) {
			if r.takesFresh(t) {
				t.Errorf("%s: a key set with a key of an unknown type was read, but compatibility.md says that it is refused", r.page)
				break
			}
		}
		r.mint.publish(t, all...)
	}
	began := time.Now()
	for ; !r.takesFresh(t); time.Sleep(time.Second) {
		if time.Since(began) > 6*time.Minute { // longer than the key set's max-age
			t.Fatalf("%s: a fresh key is not taken", r.page)
		}
	}
	t.Logf("%s: a fresh key was taken after %s", r.page, time.Since(began).Round(time.Second))
	if os.Getenv("INTEROP_CACHES") != "" {
		r.measureRevocation(t)
	}
}

// judge sends one token.
func (r *trial) judge(t *testing.T, token judged) {
	t.Helper()
	want := token.want
	if says := r.says[token.column]; token.column != "" {
		want = map[string]int{"taken": lets, "refused": refuses}[says]
	}
	if want == lacks {
		want = map[string]int{"403": lacks, "401": refuses, "not read": lets}[r.says["without the scope"]]
	}
	status, challenge := r.ask(t, token.token)
	if status != want {
		t.Errorf("%s: %s was answered %d, want %d", r.page, token.name, status, want)
	}
	if challenged := strings.HasPrefix(challenge, "Bearer"); status >= 400 && challenged != (r.says["challenge"] == "yes") {
		t.Errorf("%s: %s was refused with the challenge %q; compatibility.md says: %s", r.page, token.name, challenge,
			r.says["challenge"])
	}
}

func (r *trial) takesFresh(t *testing.T) bool {
	t.Helper()
	status, _ := r.ask(t, r.fresh.sign(t, r.fresh.header(nil), r.mint.accessToken()))
	return status == lets
}

// measureRevocation takes a key out of the key set, and says how long its tokens are still taken.
func (r *trial) measureRevocation(t *testing.T) {
	t.Helper()
	r.mint.publish(t, r.published()...)
	began := time.Now()
	for r.takesFresh(t) && time.Since(began) < 12*time.Minute {
		time.Sleep(5 * time.Second)
	}
	t.Logf("%s: a revoked key was taken for %s", r.page, time.Since(began).Round(time.Second))
}

// compatibility reads the row of a page in docs/resource-servers/compatibility.md, by column.
func compatibility(t *testing.T, page string) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/resource-servers/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	cells := func(line string) []string {
		all := strings.Split(strings.Trim(line, "| "), " | ")
		for i := range all {
			all[i] = strings.TrimSpace(all[i])
		}
		return all
	}
	may := map[string][]string{
		"EdDSA": {"taken", "refused"}, "ES256": {"taken", "refused"}, "`AT+JWT`": {"taken", "refused"},
		"`application/at+jwt`": {"taken", "refused"}, "an ID token": {"taken", "refused"}, "another type": {"taken", "refused"},
		"duplicate members": {"taken", "refused"}, "without the scope": {"403", "401", "not read"},
		"challenge": {"yes", "no"}, "a key of an unknown type": {"skipped", "refuses the set"},
	}
	var columns []string
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.HasPrefix(line, "| page | ") {
			columns = cells(line)
		}
		row := cells(line)
		if columns == nil || !strings.Contains(row[0], "("+filepath.Base(page)+")") {
			continue
		}
		says := make(map[string]string)
		for i, column := range columns[:min(len(columns), len(row))] {
			says[column] = row[i]
		}
		for column, values := range may {
			if !slices.Contains(values, says[column]) {
				t.Fatalf("compatibility.md says %s of %s for %s, not one of %q", strconv.Quote(says[column]), column, page, values)
			}
		}
		return says
	}
	t.Fatalf("compatibility.md has no row for %s", page)
	return nil
}
