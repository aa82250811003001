package issuer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/counts"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// ClientDocuments reads clients. An id that is an https address names the metadata document of the
// client (draft-ietf-oauth-client-id-metadata-document), which is fetched; any other id is read from
// the store.
//
//	host lists  → a host that the operator does not want is refused, whatever is known of the client
//	row         → an operator's decisions, and the last good document for all replicas
//	memory      → the document that this replica fetched, as long as its headers say, within bounds
//	fetch       → one at a time for each address; strangers' requests within budgets
//
// When a document cannot be had, the last good one serves on: Client.DocumentAt says how old it is,
// and no login begins with one that is older than userstore.DocumentServes. A fault is never kept
// in the place of a document; it only keeps this replica from asking again at once.
//
// The zero value knows no such clients. Compose fills in Clients, Issuer and Now.
type ClientDocuments struct {
	userstore.Clients // the store

	On bool // oauth.client_id_metadata
	// Allow and Deny are hosts; one that begins with a dot is a domain with all that is below. An empty
	// Allow allows every host, and Deny wins.
	Allow, Deny []string
	// Fetch returns the document at an https address. Fetch also has to keep away from our own network.
	Fetch func(ctx context.Context, address string) (FetchedDocument, error)

	Issuer *Issuer
	Now    func() time.Time

	Fetches counts.Outcomes // by FetchOutcomes, for metrics

	mu      sync.Mutex
	known   map[string]*clientDocument
	uses    uint64
	budgets fetchBudgets
}

// FetchedDocument is a document with what its headers say.
type FetchedDocument struct {
	Body      []byte
	MediaType string        // without parameters
	Lifetime  time.Duration // how long it may be used without being fetched anew; negative: not said
}

// Bounds of what is kept, and for how long. The longest time leaves half of userstore.DocumentServes
// for a host that does not answer when the document is fetched anew.
const (
	maxDocuments  = 1024
	documentFresh = 5 * time.Minute
	documentOld   = 12 * time.Hour
	afterFault    = 30 * time.Second // until a document with a fault is fetched again
)

// clientDocument is what this replica knows of one address.
type clientDocument struct {
	lock chan struct{} // holds one: the right to fetch, and to touch fault and again

	fault *Error
	again time.Time

	good *describedClient // under ClientDocuments.mu; nil: none
	use  uint64           // likewise
}

// describedClient is what a document says.
type describedClient struct {
	client userstore.Client
	until  time.Time // it is fresh
}

func (g *describedClient) at() time.Time {
	if g == nil {
		return time.Time{}
	}
	return g.client.DocumentAt
}

// fresh reports whether nothing is to be fetched. A clock that went back makes it stale.
func (g *describedClient) fresh(now time.Time) bool {
	return g != nil && now.Before(g.until) && !now.Before(g.at().Add(-documentFresh))
}

// ClientByID returns a client. ErrNotFound; an *Error that says what is wrong with the document of a
// client of which no good one is known.
func (d *ClientDocuments) ClientByID(ctx context.Context, id string) (userstore.Client, error) {
	if !registration.NamesDocument(id) {
		return d.Clients.ClientByID(ctx, id)
	}
	if !d.On {
		return userstore.Client{}, userstore.ErrNotFound
	}
	host, err := registration.MetadataHost(id)
	if err != nil {
		return userstore.Client{}, faultURL.because(errors.New(err.Error())) // it is no fault of a form
	}
	if !d.admits(host) {
		return userstore.Client{}, faultHost
	}
	row, err := d.Clients.ClientByID(ctx, id)
	switch {
	case errors.Is(err, userstore.ErrNotFound):
		row = userstore.Client{}
	case err != nil:
		return row, err
	case !row.DisabledAt.IsZero():
		return row, nil // nothing is fetched for a client that an operator disabled
	}
	good, err := d.document(ctx, id, host, row)
	switch {
	case err != nil:
		return userstore.Client{}, err
	case row.Stored():
		return registration.WithDocument(row, good), nil
	}
	return good, nil
}

// admits reports whether the operator admits clients of a host.
func (d *ClientDocuments) admits(host string) bool {
	named := func(name string) bool { return MatchesHost(name, host) }
	return !slices.ContainsFunc(d.Deny, named) && (len(d.Allow) == 0 || slices.ContainsFunc(d.Allow, named))
}

// MatchesHost reports whether name names host: .example.com names example.com and what is below.
func MatchesHost(name, host string) bool {
	name = strings.ToLower(name)
	if strings.HasPrefix(name, ".") {
		return host == name[1:] || strings.HasSuffix(host, name)
	}
	return host == name
}

// document returns the client that the newest known document describes, which is fetched if it is
// due. row is the client's row, or the zero client.
func (d *ClientDocuments) document(ctx context.Context, id, host string, row userstore.Client) (userstore.Client, error) {
	now := d.now()
	if good := d.newest(id, row); good.fresh(now) {
		return good.client, nil
	}
	e, err := d.entry(ctx, id, host, row, now)
	if err != nil {
		return userstore.Client{}, err
	}
	select {
	case e.lock <- struct{}{}:
	default:
		// Another request fetches it. The last good one is as good as it was a moment ago.
		if good := d.newest(id, row); good != nil && now.Sub(good.at()) < userstore.DocumentServes {
			return good.client, nil
		}
		select {
		case e.lock <- struct{}{}:
		case <-ctx.Done():
			return userstore.Client{}, ctx.Err()
		}
	}
	defer func() { <-e.lock }()

	if good := d.newest(id, row); good.fresh(now) { // fetched while this request waited
		return good.client, nil
	}
	fault := e.fault
	if fault == nil || !now.Before(e.again) || e.again.Sub(now) > afterFault {
		fault = d.fetch(ctx, e, id, host, row, now)
	}
	if good := d.newest(id, row); good != nil && (fault == nil || row.Stored() || now.Sub(good.at()) < userstore.DocumentServes) {
		return good.client, nil
	}
	return userstore.Client{}, fault
}

// newest returns the newest document that this replica or the row has; nil: there is none. Another
// replica may have fetched that of the row a moment ago.
func (d *ClientDocuments) newest(id string, row userstore.Client) *describedClient {
	d.mu.Lock()
	defer d.mu.Unlock()
	var good *describedClient
	if e := d.known[id]; e != nil {
		d.uses++
		e.use, good = d.uses, e.good
	}
	if row.Stored() && (good == nil || row.DocumentAt.After(good.at())) {
		return &describedClient{row, row.DocumentAt.Add(documentFresh)}
	}
	return good
}

// entry returns what is known of an address. An address that is new counts against the budgets
// before it takes the place of another.
func (d *ClientDocuments) entry(
	ctx context.Context, id, host string, row userstore.Client, now time.Time,
) (*clientDocument, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.known[id]
	if e == nil {
		if !row.Stored() && !d.budgets.room(budgetsOf(ctx, host), now) {
			return nil, faultBusy
		}
		if d.known == nil {
			d.known = map[string]*clientDocument{}
		}
		d.forget()
		e = &clientDocument{lock: make(chan struct{}, 1)}
		d.known[id] = e
	}
	d.uses++
	e.use = d.uses
	return e, nil
}

// forget makes room for one more address: what was not used for the longest time goes.
func (d *ClientDocuments) forget() {
	for len(d.known) >= maxDocuments {
		oldest := ""
		for id, e := range d.known {
			if oldest == "" || e.use < d.known[oldest].use {
				oldest = id
			}
		}
		delete(d.known, oldest)
	}
}

// fetch fetches the document at id, and keeps it if it is good, in the client's row as well. It
// returns the fault, if there is one. Other requests wait for it, so it does not end when one
// client hangs up.
func (d *ClientDocuments) fetch(
	ctx context.Context, e *clientDocument, id, host string, row userstore.Client, now time.Time,
) *Error {
	leave, admitted := d.enter(ctx, host, row, now)
	if !admitted {
		d.Fetches.Add(fetchThrottled)
		return faultBusy
	}
	defer leave()
	kept, cancel := userstore.Uncancelled(ctx)
	defer cancel()
	good, err := d.read(kept, id, now)
	if err != nil {
		fault := failed(err)
		outcome := fetchFailed
		if e.fault = nil; fault.Fault != "" { // else something failed here
			e.fault, e.again = fault, now.Add(afterFault)
			outcome = fetchFault
		}
		d.Fetches.Add(outcome)
		if log := d.Issuer.Log; log != nil {
			log.WarnContext(ctx, "the metadata document of a client is not used", "client_id", id,
				"fault", fault.Fault, "error", fault.Reason())
		}
		return fault
	}
	d.Fetches.Add(fetchOK)
	e.fault = nil
	d.mu.Lock()
	e.good = good
	d.mu.Unlock()
	if row.Stored() {
		if err := d.Issuer.Registry.KeepDocument(kept, good.client); err != nil && d.Issuer.Log != nil {
			d.Issuer.Log.WarnContext(ctx, "the metadata document of a client is not stored; other replicas fetch it themselves",
				"client_id", id, "error", err)
		}
	}
	return nil
}

// FetchOutcomes are the outcomes of fetches of metadata documents.
var FetchOutcomes = []string{"ok", "fault", "throttled", "failed"}

const (
	fetchOK = iota
	fetchFault
	fetchThrottled
	fetchFailed
)

// enter takes a fetch from the budgets. Those of clients with a row are bounded by their number, so
// that strangers cannot use them up.
func (d *ClientDocuments) enter(ctx context.Context, host string, row userstore.Client, now time.Time) (leave func(), ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.budgets.begin(budgetsOf(ctx, host), row.Stored(), now) {
		return nil, false
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.budgets.end(host)
	}, true
}

func (d *ClientDocuments) now() time.Time { return d.Now().UTC().Truncate(time.Microsecond) }

// Bounds of the fetches that strangers cause on this replica within a window. A name of a domain can
// lead anywhere, so the bound in all is what a victim can meet at worst.
const (
	budgetWindow    = 10 * time.Minute
	fetchesOfHost   = 100
	fetchesOfOrigin = 200 // requests from one network
	fetchesInAll    = 1000

	// At one moment. A slow host holds a place for as long as a request may take.
	fetchesAtOnce       = 16
	fetchesOfHostAtOnce = 4
)

// fetchBudgets count fetches. Every name in them was admitted, so they are bounded themselves.
type fetchBudgets struct {
	began time.Time
	spent map[string]int
	all   int

	underWay map[string]int // by host
	running  int
}

// budgetNames are the names under which a fetch counts, with their bounds.
type budgetNames [2]struct {
	name string
	most int
}

func budgetsOf(ctx context.Context, host string) budgetNames {
	network := userstore.NetworkOf(audit.OriginOf(ctx).Address)
	return budgetNames{{"host " + host, fetchesOfHost}, {"network " + network, fetchesOfOrigin}}
}

// room reports whether the budgets have room for one more fetch.
func (b *fetchBudgets) room(names budgetNames, now time.Time) bool {
	if age := now.Sub(b.began); b.spent == nil || age >= budgetWindow || age < 0 {
		b.began, b.all, b.spent = now, 0, map[string]int{}
	}
	for _, n := range names {
		if b.spent[n.name] >= n.most {
			return false
		}
	}
	return b.all < fetchesInAll
}

// begin counts a fetch, if the budgets have room. free counts only at the moment.
func (b *fetchBudgets) begin(names budgetNames, free bool, now time.Time) bool {
	host := names[0].name
	if b.running >= fetchesAtOnce || b.underWay[host] >= fetchesOfHostAtOnce || !free && !b.room(names, now) {
		return false
	}
	if !free {
		b.all++
		for _, n := range names {
			b.spent[n.name]++
		}
	}
	if b.underWay == nil {
		b.underWay = map[string]int{}
	}
	b.running++
	b.underWay[host]++
	return true
}

func (b *fetchBudgets) end(host string) {
	host = "host " + host
	b.running--
	if b.underWay[host]--; b.underWay[host] <= 0 {
		delete(b.underWay, host)
	}
}
