package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/strictjson"
)

// Issuer is an issuer to examine.
type Issuer struct {
	URL    string       // the issuer identifier
	Client *http.Client // nil: one that trusts the system's certificate authorities
	Now    func() time.Time
}

// visit is a running examination of an issuer.
type visit struct {
	Issuer
	Report
	ctx      context.Context
	metadata metadata
}

// metadata are the members of discovery that are looked at (OIDC Discovery section 3, RFC 8414
// section 2).
type metadata struct {
	Issuer       string   `json:"issuer"`
	JWKSURI      string   `json:"jwks_uri"`
	Authorize    string   `json:"authorization_endpoint"`
	Token        string   `json:"token_endpoint"`
	Userinfo     string   `json:"userinfo_endpoint"`
	IDTokenAlgs  []string `json:"id_token_signing_alg_values_supported"`
	PKCE         []string `json:"code_challenge_methods_supported"`
	Responses    []string `json:"response_types_supported"`
	SubjectTypes []string `json:"subject_types_supported"`
}

// Run examines the issuer. The error is about a URL that is none, or that does not answer at all.
func (i Issuer) Run(ctx context.Context) (Report, error) {
	u, err := url.Parse(i.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" ||
		u.User != nil {
		return Report{}, errors.New("an issuer is an https:// URL without query and fragment, such as https://id.example.com")
	}
	v := &visit{Issuer: i, ctx: ctx, Report: Report{Kind: "issuer", Subject: i.URL}}
	if v.Client == nil {
		v.Client = newClient()
	}
	found, err := v.discovery()
	if err != nil {
		return Report{}, err
	}
	v.transport(u, found)
	if v.metadata.JWKSURI != "" {
		v.keySet()
	}
	return v.Report, ctx.Err()
}

// note adds a result: with the verdict bad if there are faults, which become the answer.
func (v *visit) note(c Check, bad Verdict, faults ...string) {
	c.Verdict = OK
	if faults = slices.DeleteFunc(faults, func(f string) bool { return f == "" }); len(faults) > 0 {
		c.Verdict, c.Answered = bad, strings.Join(faults, "; ")
	}
	v.add(c)
}

// when returns the text if the condition holds.
func when(condition bool, format string, args ...any) string {
	if condition {
		return fmt.Sprintf(format, args...)
	}
	return ""
}

// discoveryAddresses are where discovery may be, in the order in which clients look (OIDC Discovery
// section 4, RFC 8414 section 3.1).
func discoveryAddresses(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil
	}
	path := strings.TrimSuffix(u.Path, "/")
	inserted := *u
	inserted.Path = "/.well-known/oauth-authorization-server" + path
	return []string{strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration", inserted.String()}
}

// discovery reads the metadata.
func (v *visit) discovery() (answer, error) {
	var found answer
	var problems []string
	for _, address := range discoveryAddresses(v.URL) {
		a, err := get(v.ctx, v.Client, address, nil)
		if answered(err) { // what another address says would hide it
			problems = append(problems, fmt.Sprintf("%s: %v", address, err))
			break
		}
		if err != nil {
			return answer{}, err
		}
		if a.StatusCode == http.StatusOK {
			found = a
			break
		}
		problems = append(problems, fmt.Sprintf("%s answers %s", address, shown(a.Response)))
		if a.StatusCode/100 == 3 {
			problems = append(problems, "clients that follow no redirect stop there")
		}
	}
	c := Check{
		ID: "discovery", Sent: "a request for the issuer's metadata", Expected: "200 with JSON, without a redirect",
		Answered: "200",
		Why:      "clients find everything else there (OIDC Discovery section 4, RFC 8414 section 3)",
	}
	if found.Response == nil {
		v.note(c, Failed, problems...)
		return found, nil
	}
	notJSON := when(!strings.HasPrefix(found.Header.Get("Content-Type"), "application/json"),
		"the Content-Type is %.64q", found.Header.Get("Content-Type"))
	err := strictjson.Unmarshal(found.body, &v.metadata, strictjson.IgnoreUnknown)
	unreadable := when(err != nil, "the document cannot be read: %v", err)
	v.note(c, Failed, notJSON, unreadable)
	if err == nil {
		v.look(v.metadata)
	}
	return found, nil
}

// look looks at the members of the metadata.
func (v *visit) look(m metadata) {
	v.note(Check{
		ID: "issuer", Sent: "the member issuer", Expected: v.URL, Answered: m.Issuer,
		Why: "it must be the identifier byte for byte, or one issuer could pass for another (RFC 8414 section 3.3)",
	}, Failed, when(m.Issuer != v.URL, "%q", m.Issuer))
	v.note(Check{
		ID: "metadata", Sent: "the members that clients need", Expected: "endpoints and a jwks_uri, by https",
		Answered: "all are there",
		Why:      "a client that finds no key or no endpoint cannot go on (OIDC Discovery section 3)",
	}, Failed, when(m.JWKSURI == "", "jwks_uri is missing"), when(m.Token == "", "token_endpoint is missing"),
		plain("jwks_uri", v.URL, m.JWKSURI), plain("authorization_endpoint", v.URL, m.Authorize),
		plain("token_endpoint", v.URL, m.Token), plain("userinfo_endpoint", v.URL, m.Userinfo))
	v.note(Check{
		ID: "algorithms", Sent: "the algorithms of ID tokens", Expected: "RS256 among them, and no none or HS256",
		Answered: strings.Join(m.IDTokenAlgs, " "),
		Why: "RS256 is what every client knows (OIDC Discovery section 3); none and HS256 are what clients are " +
			"attacked by (RFC 8725 section 3.1)",
	}, Warning, when(len(m.IDTokenAlgs) > 0 && !slices.Contains(m.IDTokenAlgs, "RS256"), "RS256 is not offered"),
		when(slices.Contains(m.IDTokenAlgs, "none"), "none is offered"),
		when(slices.ContainsFunc(m.IDTokenAlgs, func(a string) bool { return strings.HasPrefix(a, "HS") }),
			"HS256 or another shared-secret algorithm is offered"))
	v.note(Check{
		ID: "pkce", Sent: "the member code_challenge_methods_supported", Expected: "S256, and not plain",
		Answered: strings.Join(m.PKCE, " "),
		Why:      "clients that see no S256 send no challenge, and a stolen code can be redeemed (RFC 9700 section 2.1.1)",
	}, Warning, when(m.Authorize != "" && !slices.Contains(m.PKCE, "S256"), "S256 is not named"),
		when(slices.Contains(m.PKCE, "plain"), "plain is named"))
}

// plain says that an address goes without TLS, unless the issuer itself does so on this machine.
func plain(name, issuer, address string) string {
	return when(strings.HasPrefix(address, "http://") && !(strings.HasPrefix(issuer, "http://") && isLocal(address)),
		"%s is plain http", name)
}

func isLocal(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// The limits of transport.
const (
	clockLimit       = 30 * time.Second // less than the minute that verifiers allow
	certificateLimit = 14 * 24 * time.Hour
)

// transport looks at TLS and the clock.
func (v *visit) transport(u *url.URL, found answer) {
	c := Check{
		ID: "https", Sent: "a connection to the issuer",
		Expected: "https, with a certificate that is good for two weeks or more", Answered: "https",
		Why: "who can change the key set on its way signs tokens of his own",
	}
	switch {
	case u.Scheme == "http" && isLocal(v.URL):
		c.Answered = "http, on this machine"
		v.note(c, Failed)
	case u.Scheme == "http":
		v.note(c, Failed, "plain http")
	case found.Response == nil || found.TLS == nil || len(found.TLS.PeerCertificates) == 0:
		c.Answered = "https, without an answer to look at"
		v.note(c, Failed)
	default:
		left := found.TLS.PeerCertificates[0].NotAfter.Sub(v.Now())
		v.note(c, Warning, when(left < certificateLimit, "the certificate ends in %d days", int(left.Hours()/24)),
			when(found.Header.Get("Strict-Transport-Security") == "",
				"there is no Strict-Transport-Security, so that a browser's first request may go by http (RFC 6797)"))
	}
	if found.Response == nil {
		return
	}
	date, err := http.ParseTime(found.Header.Get("Date"))
	off := v.Now().Sub(date).Round(time.Second)
	v.note(Check{
		ID: "clock", Sent: "the answer's Date, compared with this machine's clock",
		Expected: "they differ by 30 seconds at most", Answered: off.Abs().String(),
		Why: "verifiers allow about a minute between the clocks, for iat, nbf and exp (RFC 7519 section 4.1.4)",
	}, Failed, when(err != nil, "there is no Date (RFC 9110 section 6.6.1)"), when(err == nil && off.Abs() > clockLimit,
		"they differ by %s", off.Abs()))
}

// members returns the members of a JSON object; that one stands there twice is an error.
func members(object []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if !bytes.HasPrefix(bytes.TrimSpace(object), []byte("{")) {
		return nil, errors.New("it is no JSON object")
	}
	return m, strictjson.Unmarshal(object, &m, strictjson.IgnoreUnknown)
}
