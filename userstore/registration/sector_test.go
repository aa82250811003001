package registration_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

const sectorURI = "https://sector.test/uris.json"

func pairwiseApp(uris ...string) userstore.Client {
	c := app()
	c.SubjectType, c.RedirectURIs = userstore.SubjectPairwise, uris
	return c
}

func TestTheSectorOfAClient(t *testing.T) {
	for _, row := range []struct {
		c    userstore.Client
		want string
	}{
		{pairwiseApp("https://app.test/cb"), "app.test"},
		{pairwiseApp("https://APP.test:8443/cb", "https://app.TEST/other"), "app.test"},
		{pairwiseApp("https://app.test/cb", "https://other.test/cb"), ""},
		{pairwiseApp("https://app.test/cb", "com.example.app:/cb"), ""},
		{pairwiseApp("http://127.0.0.1/cb"), ""},
		{pairwiseApp("https://localhost/cb"), ""},
		{pairwiseApp(), ""},
	} {
		if got := row.c.Sector(); got != row.want {
			t.Errorf("%v: %q, want %q", row.c.RedirectURIs, got, row.want)
		}
		row.c.SectorIdentifierURI = "https://Sector.test:444/x"
		if got := row.c.Sector(); got != "sector.test" {
			t.Errorf("%v with a document: %q", row.c.RedirectURIs, got)
		}
	}
}

// What a client says of its sector is checked, and a refused client leaves nothing behind.
func TestR07SectorsThatAreRefused(t *testing.T) {
	documents := map[string]string{}
	fetched := 0
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		r, log := newRegistry(db)
		r.SectorDocument = func(_ context.Context, uri string) ([]byte, error) {
			fetched++
			if document, ok := documents[uri]; ok {
				return []byte(document), nil
			}
			return nil, errors.New("the inner cause")
		}
		native := public("com.example.app:/cb", "http://127.0.0.1/cb")
		native.SubjectType = userstore.SubjectPairwise
		own := pairwiseApp("https://app.test/cb")
		own.FirstParty = true
		machine := userstore.Client{Name: "M", GrantTypes: []string{userstore.GrantClientCredentials},
			ClientMetadata: userstore.ClientMetadata{SubjectType: userstore.SubjectPairwise}}
		unknown := app()
		unknown.SubjectType = "Pairwise"
		with := func(c userstore.Client, uri string) userstore.Client { c.SectorIdentifierURI = uri; return c }
		two := pairwiseApp("https://one.test/cb", "https://two.test/cb")
		for _, row := range []struct {
			name     string
			c        userstore.Client
			document string // at sectorURI; empty: it cannot be fetched
			want     string
		}{
			{"an unknown type", unknown, "", "subject_type invalid"},
			{"several hosts without a document", two, "", "sector_identifier_uri required"},
			{"an app on a device without a document", native, "", "sector_identifier_uri required"},
			{"no redirect URI at all", machine, "", "sector_identifier_uri required"},
			{"our own client", own, "", "subject_type not_allowed"},
			{"http", with(two, "http://sector.test/uris.json"), "", "sector_identifier_uri invalid"},
			{"a fragment", with(two, sectorURI+"#x"), "", "sector_identifier_uri invalid"},
			{"a user name", with(two, "https://a@sector.test/"), "", "sector_identifier_uri invalid"},
			{"a document that cannot be fetched", with(two, sectorURI), "", "sector_identifier_uri invalid"},
			{"a document that lacks one", with(two, sectorURI), `["https://one.test/cb"]`, "sector_identifier_uri invalid"},
			{"a document that nearly has it", with(two, sectorURI), `["https://one.test/cb","https://TWO.test/cb"]`,
				"sector_identifier_uri invalid"},
			{"an object", with(two, sectorURI), `{"redirect_uris":["https://one.test/cb","https://two.test/cb"]}`,
				"sector_identifier_uri invalid"},
			{"a text", with(two, sectorURI), `"https://one.test/cb https://two.test/cb"`, "sector_identifier_uri invalid"},
			{"null", with(two, sectorURI), `null`, "sector_identifier_uri invalid"},
			{"other members", with(two, sectorURI), `["https://one.test/cb","https://two.test/cb",7]`,
				"sector_identifier_uri invalid"},
			{"two arrays", with(two, sectorURI), `["https://one.test/cb"]["https://two.test/cb"]`,
				"sector_identifier_uri invalid"},
			{"no JSON", with(two, sectorURI), "https://one.test/cb\nhttps://two.test/cb", "sector_identifier_uri invalid"},
			{"a public client with a bad document", with(app(), sectorURI), `[]`, "sector_identifier_uri invalid"},
		} {
			t.Run(row.name, func(t *testing.T) {
				clear(documents)
				if row.document != "" {
					documents[sectorURI] = row.document
				}
				row.c.ID = "refused"
				_, _, err := r.Create(t.Context(), row.c, "")
				if got := fields(t, err); !reflect.DeepEqual(got, []string{row.want}) {
					t.Errorf("%v, want %s", got, row.want)
				}
				if strings.Contains(err.Error(), "inner cause") {
					t.Errorf("the refusal shows what the server can reach: %v", err)
				}
				if _, err := db.ClientByID(t.Context(), "refused"); !errors.Is(err, userstore.ErrNotFound) {
					t.Errorf("it is stored: %v", err)
				}
			})
		}
		if !strings.Contains(log.String(), "the inner cause") {
			t.Error("the log does not say why a document was not fetched")
		}

		// Nothing is fetched for a client that is refused anyway.
		fetched = 0
		bad := with(two, sectorURI)
		bad.PKCE = "perhaps"
		if _, _, err := r.Create(t.Context(), bad, ""); err == nil || fetched != 0 {
			t.Errorf("%d documents were fetched (%v)", fetched, err)
		}
		r.SectorDocument = nil
		_, _, err := r.Create(t.Context(), with(two, sectorURI), "")
		if got := fields(t, err); !slices.Equal(got, []string{"sector_identifier_uri not_allowed"}) {
			t.Error(got)
		}
	})
}

// An edit fetches the document when it adds the document or a redirect URI, and then only.
func TestAnEditFetchesTheDocumentOfTheSectorWhenItMatters(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		r, _ := newRegistry(db)
		document, fetched := `["https://one.test/cb","https://two.test/cb","com.example.app:/cb"]`, 0
		r.SectorDocument = func(context.Context, string) ([]byte, error) { fetched++; return []byte(document), nil }
		c := pairwiseApp("https://one.test/cb", "https://two.test/cb")
		c.ID, c.SectorIdentifierURI = "app", sectorURI
		if _, _, err := r.Create(t.Context(), c, ""); err != nil || fetched != 1 {
			t.Fatalf("%d fetched, %v", fetched, err)
		}
		edit := func(want int, change func(*userstore.Client)) error {
			t.Helper()
			fetched = 0
			_, _, err := r.Edit(t.Context(), "app", "", func(c *userstore.Client) error { change(c); return nil })
			if fetched != want {
				t.Errorf("%d fetched, want %d", fetched, want)
			}
			return err
		}
		for _, err := range []error{
			edit(0, func(c *userstore.Client) { c.Name = "Renamed" }),
			edit(0, func(c *userstore.Client) { c.RedirectURIs = c.RedirectURIs[:1] }),
			edit(1, func(c *userstore.Client) { c.RedirectURIs = append(c.RedirectURIs, "https://two.test/cb") }),
			edit(1, func(c *userstore.Client) { c.SectorIdentifierURI += "?v=2" }),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		err := edit(1, func(c *userstore.Client) { c.RedirectURIs = append(c.RedirectURIs, "https://three.test/cb") })
		if got := fields(t, err); !slices.Equal(got, []string{"sector_identifier_uri invalid"}) {
			t.Error(got)
		}
		if err := edit(0, func(c *userstore.Client) { c.SectorIdentifierURI = "" }); err == nil {
			t.Error("a pairwise client of two hosts has no document")
		}
		if err := edit(0, func(c *userstore.Client) { c.SectorIdentifierURI, c.SubjectType = "", "public" }); err != nil {
			t.Error(err)
		}
		events := strings.Join(clientEvents(t, db, "app"), "\n")
		for _, want := range []string{"subject_type=>pairwise", "sector_identifier_uri=>" + sectorURI, "subject_type=pairwise>public"} {
			if !strings.Contains(events, want) {
				t.Errorf("no audit entry says %s:\n%s", want, events)
			}
		}
	})
}
