package waysin_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

var updateWays = flag.Bool("update", false, "write the tables of ways into docs/ways-in.md")

const waysPage = "../../docs/ways-in.md"

// sections are all ways into an account.
var sections = []section{
	{"the password is known", slices.Concat(byPassword, atOnceByPassword, byDeviceWithPassword)},
	{"the mailbox is read", byMailbox},
	{"a session, a grant, a token or a code of before is held", slices.Concat(bySession, atOnceBySession, byDeviceWithSession)},
}

var factorKinds = []string{"none", "totp", "passkey"}

// P-05, P-04: somebody has the password of an account, its mailbox, or something from before it had a
// second factor, and tries every way in. The accounts have no second factor, an authenticator app, or
// a passkey. What each way asks for is the table of the policy.
func TestP05EveryWayIntoAnAccount(t *testing.T) {
	opened := map[string]bool{}
	for _, table := range wayTables {
		walked := 0
		for _, section := range sections {
			ways := section.under(table.policy)
			if len(ways) == 0 {
				continue
			}
			walked++
			// A server of its own, for every answer is searched for all secrets of its server.
			t.Run(table.heading+", "+section.name, func(t *testing.T) {
				h := apitest.NewDocumentHost(t)
				apitest.Each(t, func(t *testing.T, s *apitest.Server) {
					w := newWalker(s, h)
					s.Opened() // by what comes before
					got, want := w.walk(t, s, section.heading(), ways, table.policy), section.of(table.want)
					if got != want {
						t.Errorf("%s", differences(want, got))
					}
					for _, operation := range s.Opened() {
						opened[operation] = true
					}
				}, apitest.Configured(func(r *apitest.Replica) {
					r.Documents(t, h)
					r.Issuer.TrustedBrowser, r.Issuer.ResponseTypes = 720*time.Hour, []string{"code", "id_token token"}
				}))
			})
		}
		if !strings.HasPrefix(table.want, tableHead) || strings.Count(table.want, "\n| **") != walked {
			t.Errorf("the table of %s has other sections than those that are walked", table.heading)
		}
	}
	for _, operation := range apitest.Openings() {
		if !opened[operation] {
			t.Errorf("%s, and no way in goes through it", operation)
		}
	}
}

// Operators read the tables in docs/ways-in.md, below what the page says of them.
func TestTheTablesOfWaysInAreInTheDocuments(t *testing.T) {
	text, err := os.ReadFile(waysPage)
	if err != nil {
		t.Fatal(err)
	}
	page, _, _ := strings.Cut(string(text), "\n## ")
	for _, table := range wayTables {
		page += fmt.Sprintf("\n## %s\n\n%s\n\n%s", table.heading, table.about, table.want)
	}
	if *updateWays {
		if err := os.WriteFile(waysPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(text) != page {
		t.Error("docs/ways-in.md is not what the tests say; run: go generate ./docs")
	}
}

// Every operation that answers with tokens, by openapi.json, is known as one that opens accounts.
func TestP05OperationsThatAnswerWithTokens(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	known, found := apitest.Openings(), 0
	for path, item := range s.Describe().Paths.Map() {
		for method, operation := range item.Operations() {
			if !answersWithTokens(operation) {
				continue
			}
			found++
			if name := method + " " + path + " gives tokens"; !slices.Contains(known, name) {
				t.Errorf("%s, and apitest.Openings does not name it", name)
			}
		}
	}
	if found != 9 {
		t.Errorf("%d operations answer with tokens, not 9", found)
	}
}

func answersWithTokens(operation *openapi3.Operation) bool {
	for status, answer := range operation.Responses.Map() {
		if !strings.HasPrefix(status, "2") {
			continue
		}
		for _, media := range answer.Value.Content {
			if media.Schema != nil && hasProperty(media.Schema.Value, "access_token") {
				return true
			}
		}
	}
	return false
}

func hasProperty(schema *openapi3.Schema, name string) bool {
	if _, ok := schema.Properties[name]; ok {
		return true
	}
	for _, parts := range []openapi3.SchemaRefs{schema.AllOf, schema.OneOf, schema.AnyOf} {
		for _, part := range parts {
			if hasProperty(part.Value, name) {
				return true
			}
		}
	}
	return false
}

// walker goes the ways of a server.
type walker struct {
	first, third, other apitest.Client
	root                *person
	n                   int // of accounts
}

func newWalker(s *apitest.Server, h *apitest.DocumentHost) *walker {
	s.T.Helper()
	document := h.Metadata("/client.json").With("redirect_uris", []string{"https://other.test/cb"})
	s.Register(userstore.Client{ID: "phone", FirstParty: true, AuthMethod: userstore.AuthNone,
		ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"http://127.0.0.1/cb"}}})
	w := &walker{
		first: s.Register(userstore.Client{ID: "first", FirstParty: true,
			GrantTypes:     []string{"authorization_code", "implicit", "refresh_token"},
			ClientMetadata: userstore.ClientMetadata{ResponseTypes: []string{"code", "id_token token"}}}),
		third: s.Register(userstore.Client{ID: "spa", Name: "Native", AuthMethod: userstore.AuthNone,
			GrantTypes: []string{"authorization_code", "implicit", "refresh_token", userstore.GrantDeviceCode},
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://spa.test/cb", "http://127.0.0.1/cb"},
				ResponseTypes: []string{"code", "id_token token"}}}),
		other: h.Publish("/client.json", document),
		root:  &person{User: s.SignUp("root"), s: s, kind: "totp"},
	}
	s.Give(w.root.User, "admin")
	w.root.setUp()
	return w
}

const tableHead = "| way | no second factor | authenticator app | passkey |\n| --- | --- | --- | --- |\n"

func (s section) heading() string { return fmt.Sprintf("| **%s** | | | |\n", s.name) }

// under returns the ways that are walked under a policy.
func (s section) under(policy userstore.SecondFactorPolicy) (ways []way) {
	for _, w := range s.ways {
		if policy != userstore.SecondFactorAdmins || w.admin {
			ways = append(ways, w)
		}
	}
	return ways
}

// of returns the lines of a table that are the section's.
func (s section) of(table string) string {
	_, lines, _ := strings.Cut(table, s.heading())
	if end := strings.Index(lines, "| **"); end >= 0 {
		lines = lines[:end]
	}
	return s.heading() + lines
}

// walk goes ways, each with an account of its own for each kind of factor.
func (w *walker) walk(
	t *testing.T, s *apitest.Server, heading string, ways []way, policy userstore.SecondFactorPolicy,
) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(heading)
	for _, way := range ways {
		fmt.Fprintf(&b, "| %s |", way.name)
		for _, kind := range factorKinds {
			fmt.Fprintf(&b, " %s |", w.one(t, s, way, kind, policy))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// one goes one way, with an account of its own.
func (w *walker) one(
	t *testing.T, s *apitest.Server, way way, kind string, policy userstore.SecondFactorPolicy,
) (got string) {
	t.Helper()
	accounts := s.Replicas[0].Accounts
	defer func() { accounts.SecondFactor = userstore.SecondFactorOptional }()
	s.Mails() // of the way before
	w.n++
	p := &person{User: s.SignUp(fmt.Sprintf("walker-%d", w.n)), s: s, kind: kind, first: w.first, third: w.third, other: w.other, root: w.root}
	s.AddressProved(p.User)
	if way.admin {
		s.Give(p.User, "admin")
	}
	if way.before != nil {
		way.before(p)
	}
	p.setUp()
	accounts.SecondFactor = policy
	// A failure inside names the way.
	t.Run(fmt.Sprintf("%s, %s, policy %q", way.name, kind, policy), func(t *testing.T) {
		p.s = s.With(t)
		if p.session != nil {
			p.session = p.session.With(p.s)
		}
		got = "failed"
		got = way.try(p)
	})
	return got
}

// differences lists the lines that are in one text only.
func differences(want, got string) string {
	var b strings.Builder
	wanted, gotten := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
	for _, line := range gotten {
		if !slices.Contains(wanted, line) {
			b.WriteString("walked: " + line)
		}
	}
	for _, line := range wanted {
		if !slices.Contains(gotten, line) {
			b.WriteString("  want: " + line)
		}
	}
	return b.String()
}
