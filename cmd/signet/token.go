package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

func (a *app) tokenCommand() *cobra.Command {
	return group("token", "Look into tokens", a.tokenInspect())
}

func (a *app) tokenInspect() *cobra.Command {
	var jwks, audience, issuerURL string
	cmd := &cobra.Command{
		Use:   "inspect [FILE]",
		Short: "Say what a token is and, claim by claim, why it would or would not be accepted",
		Long: `Say what a token is and, claim by claim, why it would or would not be accepted. The
token is read from FILE, or from standard input; it is never an argument, and its
signature is never shown.

The keys, and whether the session behind the token is still open, are taken from the
configured store. With --jwks the token is judged as a resource server would judge it,
without the store. Exits 0 when it would be accepted, and 1 when not.`,
		Args: cobra.MaximumNArgs(1),
		RunE: action(func(ctx context.Context, args []string) error {
			name := "-"
			if len(args) == 1 {
				name = args[0]
			}
			if strings.HasPrefix(name, "ey") && strings.Count(name, ".") >= 2 {
				return misusef("this looks like a token and not like a file's name; give it on standard input, because others can see a command line")
			}
			text, err := a.readInput(name, 2*jose.MaxTokenBytes)
			if err != nil {
				return err
			}
			c, err := a.load(nil)
			if err != nil {
				return err
			}
			i := inspection{ctx: ctx, now: a.now(), skew: c.ClockSkew, audience: audience, issuer: issuerURL}
			if i.issuer == "" {
				i.issuer = c.IssuerURL("")
			}
			if jwks != "" {
				if i.keys, err = a.foreignKeys(ctx, jwks); err != nil {
					return err
				}
			} else {
				done, err := a.ownKeys(ctx, &i)
				if err != nil {
					return err
				}
				defer done()
			}
			i.inspect(strings.TrimSpace(string(text)))
			return a.showInspection(&i)
		}),
	}
	cmd.Flags().StringVar(&jwks, "jwks", "", "verify with the JWK set in this `file` or at this URL, and leave the store alone")
	cmd.Flags().StringVar(&audience, "audience", "", "who is to accept the token: a resource's `URI` or a client id (default: whoever it is for)")
	cmd.Flags().StringVar(&issuerURL, "issuer", "", "the `URL` that must have issued it (default: the configured issuer)")
	return cmd
}

// inspection is one look at one token.
type inspection struct {
	ctx              context.Context
	now              time.Time
	skew             time.Duration
	issuer, audience string
	keys             map[string]inspectedKey
	db               *sqlstore.DB // nil: judged without

	kind   string
	header jose.Header
	claims map[string]json.RawMessage
	checks []tokenCheck
}

type inspectedKey struct {
	jose.PublicKey
	state     string // for people
	published bool
}

// tokenCheck is one line of the verdict. Without a verdict it is only told.
type tokenCheck struct {
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
	OK     *bool  `json:"ok"`
	Detail string `json:"detail"`
}

func (i *inspection) told(name, value, detail string) {
	i.checks = append(i.checks, tokenCheck{Name: name, Value: value, Detail: detail})
}

func (i *inspection) judge(ok bool, name, value, good, bad string) {
	detail := good
	if !ok {
		detail = bad
	}
	i.checks = append(i.checks, tokenCheck{Name: name, Value: value, OK: &ok, Detail: detail})
}

func (i *inspection) accepted() bool {
	return !slices.ContainsFunc(i.checks, func(c tokenCheck) bool { return c.OK != nil && !*c.OK })
}

func (i *inspection) inspect(text string) {
	token, err := jose.Parse(text)
	if err != nil {
		i.kind = "not a token of Signet's"
		i.judge(false, "format", "", "", err.Error()+foreignForm(text))
		return
	}
	i.header = token.Header
	switch {
	case token.Header.IsType(issuer.TypeAccessToken):
		i.kind = "access token"
	case token.Header.IsType(issuer.TypeRefreshToken):
		i.kind = "refresh token"
	case token.Header.IsType(issuer.TypeIDToken):
		i.kind = "ID token"
	default:
		i.kind = "token of an unknown type"
	}
	i.judge(i.kind != "token of an unknown type", "typ", token.Header.Type, i.kind+"; accepted in no other's place",
		"none of at+jwt, JWT and rt+jwt")
	i.signature(token)
	if err := strictjson.Unmarshal(token.Payload, &i.claims, strictjson.IgnoreUnknown); err != nil {
		i.judge(false, "claims", "", "", err.Error())
		return
	}
	i.judge(i.text("iss") == i.issuer, "iss", i.text("iss"), "the expected issuer", "the issuer is expected to be "+i.issuer+", byte for byte")
	i.whoFor()
	i.times()
	i.subject()
	if i.db != nil {
		i.session()
	}
}

// foreignForm guesses what a text is that is not a compact JWS.
func foreignForm(text string) string {
	switch {
	case text == "":
		return "; nothing was given"
	case strings.Count(text, ".") == 4:
		return "; five segments are an encrypted token (JWE), which Signet never issues"
	case strings.HasPrefix(text, "{"):
		return "; this is JSON: pass the value of access_token, id_token or refresh_token alone"
	case strings.HasPrefix(strings.ToLower(text), "bearer "):
		return "; leave out the word Bearer"
	}
	return ""
}

func (i *inspection) signature(token *jose.Token) {
	h := token.Header
	key, ok := i.keys[h.KeyID]
	switch {
	case len(i.keys) == 0:
		i.judge(false, "kid", h.KeyID, "", "cannot be checked: there are no keys at hand; run this where the server's store is, or give --jwks")
		return
	case h.KeyID == "":
		i.judge(false, "kid", "", "", "missing; every token of Signet's names its key")
		return
	case !ok:
		i.judge(false, "kid", h.KeyID, "", "not a key of this issuer, or one that is long gone")
		return
	case i.kind == "refresh token":
		i.judge(true, "kid", h.KeyID, key.state+"; refresh tokens are accepted under any key there ever was", "")
	default:
		i.judge(key.published, "kid", h.KeyID, key.state, key.state+"; verifiers do not know it, or forget it at their next look")
	}
	err := token.Verify(key.PublicKey)
	bad := ""
	if err != nil {
		bad = "does not verify: " + err.Error()
	}
	i.judge(err == nil, "signature", h.Algorithm, "verifies", bad)
}

func (i *inspection) whoFor() {
	list := i.list("aud")
	shown := strings.Join(list, " ")
	switch {
	case len(list) == 0:
		i.judge(false, "aud", "", "", "missing, so it is for nobody")
	case i.audience != "":
		i.judge(slices.Contains(list, i.audience), "aud", shown, "holds "+i.audience, "does not hold "+i.audience)
	case i.kind == "refresh token":
		i.judge(shown == i.issuer, "aud", shown, "this issuer only", "a refresh token is for the issuer only")
	case i.kind == "ID token":
		i.told("aud", shown, "for this client only; never for an API")
	default:
		detail := "for these resource servers"
		if slices.Contains(list, i.issuer) {
			detail += "; the issuer among them, so /v1 takes it too"
		}
		i.told("aud", shown, detail)
	}
}

func (i *inspection) times() {
	at := func(name string) (time.Time, bool) {
		var n json.Number
		if json.Unmarshal(i.claims[name], &n) != nil {
			return time.Time{}, false
		}
		seconds, err := n.Int64()
		return time.Unix(seconds, 0), err == nil
	}
	skew := i.skew
	if i.kind == "refresh token" {
		skew = 0 // the issuer judges its own tokens by its own clock
	}
	if exp, ok := at("exp"); !ok {
		i.judge(false, "exp", "", "", "missing or not a whole number of seconds")
	} else {
		left := exp.Sub(i.now)
		i.judge(left+skew > 0, "exp", instant(exp), "ends "+ago(left), "expired "+about(-left)+" ago")
		if c := &i.checks[len(i.checks)-1]; left <= 0 && left+skew > 0 {
			c.Detail = fmt.Sprintf("expired %s ago; still taken by verifiers that allow %s for clocks", about(-left), i.skew)
		}
	}
	if iat, ok := at("iat"); !ok {
		i.judge(false, "iat", "", "", "missing or not a whole number of seconds")
	} else {
		i.judge(iat.Sub(i.now) <= i.skew, "iat", instant(iat), "issued "+ago(iat.Sub(i.now)), "issued "+ago(iat.Sub(i.now))+": a clock is wrong")
	}
}

// subject tells who and what the token speaks of. jti of a refresh token is what
// proves it, and is not shown.
func (i *inspection) subject() {
	need := map[string][]string{
		"access token":  {"sub", "client_id", "jti"},
		"ID token":      {"sub"},
		"refresh token": {"client_id", "grant", "gen", "jti"},
	}[i.kind]
	for _, name := range need {
		if len(i.claims[name]) == 0 {
			i.judge(false, name, "", "", "missing")
		}
	}
	for _, name := range []string{"sub", "client_id", "scope", "roles", "sid", "acr", "amr", "nonce"} {
		if value := i.text(name); value != "" {
			i.told(name, value, "")
		}
	}
}

// session asks the store what is behind the token. Resource servers do not: they
// learn of a revocation when the token ends.
func (i *inspection) session() {
	var view userstore.GrantView
	var err error
	switch {
	case i.kind == "refresh token":
		id, decodeErr := base64.RawURLEncoding.Strict().DecodeString(i.text("grant"))
		if decodeErr != nil || len(id) != len(userstore.GrantID{}) {
			i.judge(false, "session", "", "", "grant names none")
			return
		}
		view, err = i.db.GrantByID(i.ctx, userstore.GrantID(id))
	case i.text("sid") != "":
		view, err = i.db.GrantBySession(i.ctx, i.text("sid"))
	default:
		return
	}
	if err != nil {
		detail := "there is none; it ended, or was another issuer's"
		if !errors.Is(err, userstore.ErrNotFound) {
			detail = "cannot be checked: " + err.Error()
		}
		i.judge(false, "session", "", "", detail)
		return
	}
	g := view.Grant
	detail := ""
	switch {
	case !g.RevokedAt.IsZero():
		detail = "revoked " + ago(g.RevokedAt.Sub(i.now))
	case !i.now.Before(g.ExpiresAt):
		detail = "over since " + instant(g.ExpiresAt)
	case !view.User.IsActive:
		detail = "its user is disabled"
	case !view.Client.DisabledAt.IsZero():
		detail = "its client is disabled"
	}
	if detail != "" && i.kind != "refresh token" {
		detail += "; the issuer refuses it, resource servers only when it ends"
	}
	i.judge(detail == "", "session", g.SessionID, "open since "+instant(g.CreatedAt), detail)
	if i.kind != "refresh token" {
		return
	}
	var gen int64
	_ = json.Unmarshal(i.claims["gen"], &gen)
	switch {
	case gen == g.Generation:
		i.judge(true, "gen", fmt.Sprint(gen), "the current one", "")
	case gen == g.Generation-1:
		i.judge(true, "gen", fmt.Sprint(gen), "the one before the current one; answered again within limits, in case the answer was lost", "")
	default:
		i.judge(false, "gen", fmt.Sprint(gen), "", fmt.Sprintf("the current one is %d; using this one would end the session as a replay", g.Generation))
	}
}

// text is a claim for people: texts as they are, lists joined, the rest as JSON.
func (i *inspection) text(name string) string {
	raw := i.claims[name]
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	if list := i.list(name); list != nil {
		return strings.Join(list, " ")
	}
	return string(raw)
}

func (i *inspection) list(name string) []string {
	var one string
	if json.Unmarshal(i.claims[name], &one) == nil && one != "" {
		return []string{one}
	}
	var list []string
	_ = json.Unmarshal(i.claims[name], &list)
	return list
}

func (a *app) showInspection(i *inspection) error {
	ok := i.accepted()
	verdict := "It would be accepted."
	if !ok {
		verdict = "It would be refused."
	}
	if a.asJSON {
		claims := map[string]json.RawMessage{}
		for name, value := range i.claims {
			claims[name] = value
		}
		if i.kind == "refresh token" && claims["jti"] != nil {
			claims["jti"] = json.RawMessage(`"[redacted]"`)
		}
		err := a.printJSON(map[string]any{
			"kind": i.kind, "accepted": ok, "checks": i.checks, "claims": claims,
			"header": map[string]string{"alg": i.header.Algorithm, "kid": i.header.KeyID, "typ": i.header.Type},
		})
		if err != nil {
			return err
		}
	} else {
		article := "a"
		if strings.HasPrefix(i.kind, "access") || strings.HasPrefix(i.kind, "ID") {
			article = "an"
		}
		if strings.HasPrefix(i.kind, "not ") {
			fmt.Fprintf(a.out, "This is %s. %s\n\n", i.kind, verdict)
		} else {
			fmt.Fprintf(a.out, "This is %s %s. %s\n\n", article, i.kind, verdict)
		}
		var rows [][]string
		for _, c := range i.checks {
			mark := " "
			if c.OK != nil {
				mark = map[bool]string{true: "✓", false: "✗"}[*c.OK]
			}
			rows = append(rows, []string{mark, c.Name, c.Value, c.Detail})
		}
		if err := a.table(nil, rows); err != nil {
			return err
		}
	}
	if !ok {
		return &failure{}
	}
	return nil
}

// ownKeys takes the keys from the configured store. That there is none is no
// reason not to look into the token.
func (a *app) ownKeys(ctx context.Context, i *inspection) (done func(), err error) {
	c, db, err := a.store(ctx)
	if err != nil {
		fmt.Fprintln(a.err, "signet: without the store: "+sentence(err))
		return func() {}, nil
	}
	report, err := (&keys.Manager{Store: db, Policy: c.KeyPolicy(), Now: a.now}).Timeline(ctx)
	if err != nil {
		db.Close()
		return nil, err
	}
	ring, err := db.LoadRing(ctx)
	if err != nil {
		db.Close()
		return nil, err
	}
	i.db, i.keys = db, map[string]inspectedKey{}
	for _, k := range ring.Keys {
		public, err := jose.ParsePublic(k.Public)
		if err != nil {
			continue
		}
		for _, info := range report.Keys {
			if info.KeyID != k.ID {
				continue
			}
			key := inspectedKey{PublicKey: public, published: info.State != keys.Removed, state: "published, " + string(info.State)}
			switch {
			case !info.RevokedAt.IsZero():
				key.state = "revoked " + ago(info.RevokedAt.Sub(i.now))
			case !key.published:
				key.state = "no longer published, since " + instant(info.RemoveAt)
			}
			i.keys[k.ID] = key
		}
	}
	return db.Close, nil
}

// maxJWKS bounds a JWK set that somebody else wrote.
const maxJWKS = 1 << 20

// foreignKeys reads a JWK set from a file or a URL.
func (a *app) foreignKeys(ctx context.Context, from string) (map[string]inspectedKey, error) {
	var text []byte
	var err error
	if u, parseErr := url.Parse(from); parseErr == nil && (u.Scheme == "http" || u.Scheme == "https") {
		text, err = fetch(ctx, from)
	} else {
		text, err = a.readInput(from, maxJWKS)
	}
	if err != nil {
		return nil, err
	}
	list, skipped, err := jose.ParseKeySet(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not a JWK set: %w", from, err)
	}
	for _, s := range skipped {
		fmt.Fprintln(a.err, "signet: a key of the set is left out: "+sentence(s))
	}
	found := map[string]inspectedKey{}
	for _, k := range list {
		found[k.ID] = inspectedKey{PublicKey: k, state: "in the JWK set", published: true}
	}
	return found, nil
}

func fetch(ctx context.Context, from string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch the JWK set: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch the JWK set: %s answered %d", from, resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	if err == nil && len(text) > maxJWKS {
		err = fmt.Errorf("the JWK set at %s is larger than 1 MiB", from)
	}
	return text, err
}
