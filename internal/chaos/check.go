package chaos

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Invariant is one of those that hold under every fault.
type Invariant string

const (
	Kept      Invariant = "I1" // an acknowledged act is there
	Once      Invariant = "I2" // one code, one lineage; one refresh token, one successor
	Whole     Invariant = "I3" // an act without an answer is done or not, never half
	Sessions  Invariant = "I4" // a client that obeys the specification keeps its session
	Verified  Invariant = "I5" // every access token verifies until its exp; nothing else does
	Answers   Invariant = "I6" // wrong answers are 503 or 429 with Retry-After
	Processes Invariant = "I7" // no process exits, leaks or needs an operator
)

// Violation is a broken invariant.
type Violation struct {
	Invariant Invariant
	Kind      string // a few words, the same for all of its kind
	Detail    string
}

func (v Violation) String() string { return string(v.Invariant) + " " + v.Kind + ": " + v.Detail }

// State is what the database holds after a run.
type State struct {
	Users    map[string]UserState  // by email
	Grants   map[string]GrantState // by id
	Codes    map[string]CodeState  // by digest
	Consents map[[2]string]bool    // of email and client_id
	Keys     []KeyState            // by algorithm and seq
}

type UserState struct{ HasPassword bool }

type GrantState struct {
	User, App  string
	Generation int64
	Ended      bool
}

type CodeState struct {
	Used  bool
	Grant string
}

type KeyState struct {
	ID, Algorithm           string
	Seq                     int64
	Created, Activate       time.Time
	Retire, Remove, Revoked time.Time // zero: not yet
	HasPrivate              bool
}

// Counts are what a journal tells.
type Counts struct {
	Acknowledged map[Act]int
	Requests     int
	Unavailable  int // 503 and 429
	Lost         int // connections that ended without an answer
	Retried      int // acts that needed more than one try
	Ambiguous    int // code exchanges that a lost answer ended, as documented
	Probes       int // refusals that were wanted and came
	LostActs     int // of I1
	Doubled      int // of I2
	LostSessions int // of I4
	Wrong        int // of I6
}

// Checker replays a journal: Record for each of its lines, then End.
type Checker struct {
	Counts     Counts
	Violations []Violation

	tries    map[actID]*actState
	signedUp map[string]bool
	consents map[[2]string]bool
	seen     map[string]successor       // by digest of the refresh token that was sent
	lineages map[string]string          // digest of a code → grant
	grants   map[string]*grantStory     // by id
	ofUser   map[string]map[string]bool // email → grants
	endedBy  map[string]string          // code whose exchange ended without an answer → client
	keyActs  []Record
	denied   []Record        // access tokens that were refused
	unsure   map[string]bool // email → an act that ended so may have changed the password
}

type actID struct {
	client int
	number int64
}

// actState is what an act has come to so far.
type actState struct {
	tries     int
	ambiguous bool            // a try may have been done although no answer says so
	before    map[int]askedOf // by try
}

// askedOf is what was known when a request was sent.
type askedOf struct {
	used  int64 // highest generation that had been accepted of the grant
	ended bool  // the grant had been ended, and that was acknowledged
}

type successor struct {
	out string
	gen int64
}

type grantStory struct {
	user, app string
	answered  int64 // highest generation that a client got
	accepted  int64 // highest generation that was sent and accepted
	ended     bool  // by an act that was acknowledged
	ending    bool  // by an act that may have been done
	current   string
}

// NewChecker returns one for a journal.
func NewChecker() *Checker {
	return &Checker{
		Counts: Counts{Acknowledged: map[Act]int{}}, tries: map[actID]*actState{}, signedUp: map[string]bool{},
		consents: map[[2]string]bool{}, seen: map[string]successor{}, lineages: map[string]string{},
		grants: map[string]*grantStory{}, ofUser: map[string]map[string]bool{}, endedBy: map[string]string{}, unsure: map[string]bool{},
	}
}

func (c *Checker) violated(i Invariant, kind, format string, args ...any) {
	c.Violations = append(c.Violations, Violation{i, kind, fmt.Sprintf(format, args...)})
	switch i {
	case Kept:
		c.Counts.LostActs++
	case Once:
		c.Counts.Doubled++
	case Sessions:
		c.Counts.LostSessions++
	case Answers:
		c.Counts.Wrong++
	}
}

// Record takes the next line.
func (c *Checker) Record(r Record) error {
	id := actID{r.Client, r.Number}
	a := c.tries[id]
	switch r.Kind {
	case Ask:
		if a == nil {
			a = &actState{before: map[int]askedOf{}}
			c.tries[id] = a
		}
		if a.tries++; a.tries == 2 {
			c.Counts.Retried++
		}
		c.Counts.Requests++
		g := c.grants[r.Grant]
		if g != nil {
			a.before[r.Try] = askedOf{g.accepted, g.ended}
		}
		c.begun(r)
		return nil
	case Lost, Got:
		if a == nil {
			return fmt.Errorf("client %d has an answer of act %d, and no request", r.Client, r.Number)
		}
	default:
		return fmt.Errorf("%q is no kind of record", r.Kind)
	}
	if r.Kind == Lost {
		c.Counts.Lost++
		a.ambiguous = true
		return nil
	}
	if r.Status == 503 || r.Status == 429 {
		c.Counts.Unavailable++
		a.ambiguous = a.ambiguous || r.Status == 503
		if !r.Retry {
			c.violated(Answers, "no Retry-After", "%s was answered with %d by replica %d", r.Act, r.Status, r.Replica)
		}
		return nil
	}
	c.answered(r, a)
	delete(c.tries, id)
	return nil
}

// begun marks what a request may bring about, whatever becomes of its answer.
func (c *Checker) begun(r Record) {
	switch r.Act {
	case Revoke:
		if g := c.grants[r.Grant]; g != nil {
			g.ending = true
		}
	case Password:
		c.eachOther(r, func(g *grantStory) { g.ending = true })
	case Refresh, FirstRefresh:
		if g := c.grants[r.Grant]; g != nil && r.Want == Refused {
			g.ending = true // the replay of a token ends its grant
		}
	}
}

// eachOther calls fn with every grant of the user but the one that asked.
func (c *Checker) eachOther(r Record, fn func(*grantStory)) {
	for id := range c.ofUser[r.User] {
		if id != r.Grant {
			fn(c.grants[id])
		}
	}
}

// allowed are the statuses of acts that must be granted.
var allowed = map[Act][]int{
	SignUp: {201}, Login: {200}, Authorize: {303}, LoginPage: {200, 303}, LoginForm: {303}, ConsentPage: {200, 303},
	ConsentForm: {303}, Exchange: {200}, Refresh: {200}, FirstRefresh: {200}, UserInfo: {200}, Introspect: {200},
	Revoke: {200}, Password: {204}, KeyRotation: {200}, KeyRevoking: {200},
}

// answered judges a definite answer.
func (c *Checker) answered(r Record, a *actState) {
	if r.Want == Refused {
		c.refused(r, a)
		return
	}
	if slices.Contains(allowed[r.Act], r.Status) {
		c.acknowledged(r, a)
		return
	}
	switch {
	case r.Act == SignUp && r.Status == 409 && a.ambiguous: // an earlier try made the account
		c.signedUp[r.User] = true
		c.Counts.Acknowledged[SignUp]++
	case r.Act == Exchange && r.Status == 400 && r.Code == "invalid_grant" && a.ambiguous:
		// An earlier try may have redeemed the code. This one is a replay: no live token is left.
		c.endedBy[r.In] = r.App
		c.Counts.Ambiguous++
	case r.Act == Password && r.Status == 403 && r.Code == "wrong_password" && (a.ambiguous || c.unsure[r.User]):
		c.changed(r) // an earlier try changed it; the client then logs in with the new one
	case r.Status == 401 && (r.Act == Password || r.Act == UserInfo):
		c.denied = append(c.denied, r) // the access token ended, or its key did: the end tells
		if r.Act == Password && a.ambiguous {
			c.unsure[r.User] = true // the next act with another access token goes on with this one
		}
	case (r.Act == Refresh || r.Act == FirstRefresh) && (r.Status == 400 || r.Status == 401):
		c.violated(Sessions, "session lost",
			"client %d: %s of generation %d was answered with %d %s by replica %d (grant %s)",
			r.Client, r.Act, r.Gen, r.Status, r.Code, r.Replica, r.Grant)
		if r.Code == "invalid_grant" {
			c.violated(Answers, "false invalid_grant", "client %d: a live refresh token of grant %s", r.Client, r.Grant)
		}
	case r.Status == 500:
		c.violated(Answers, "500", "client %d: %s by replica %d", r.Client, r.Act, r.Replica)
	default:
		c.violated(Answers, "wrong answer", "client %d: %s was answered with %d %s by replica %d", r.Client, r.Act,
			r.Status, r.Code, r.Replica)
	}
}

// acknowledged takes an act that was granted.
func (c *Checker) acknowledged(r Record, a *actState) {
	c.Counts.Acknowledged[r.Act]++
	switch r.Act {
	case SignUp:
		c.signedUp[r.User] = true
	case ConsentForm:
		c.consents[[2]string{r.User, r.App}] = true
	case Login:
		c.begin(r)
	case Exchange:
		c.begin(r)
		if first, ok := c.lineages[r.In]; ok && first != r.Grant {
			c.violated(Once, "code redeemed twice", "grants %s and %s came of code %s", first, r.Grant, r.In)
		}
		c.lineages[r.In] = r.Grant
	case Refresh, FirstRefresh:
		c.refreshed(r, a.before[r.Try])
	case Revoke:
		if g := c.grants[r.Grant]; g != nil {
			g.ended = true
		}
	case Password:
		c.changed(r)
	case Introspect:
		if g := c.grants[r.Grant]; g != nil && r.Active && a.before[r.Try].ended {
			c.violated(Answers, "false active", "grant %s had ended, and introspection called its token active", r.Grant)
		}
	case KeyRotation, KeyRevoking:
		c.keyActs = append(c.keyActs, r)
	}
}

// begin takes the first refresh token of a grant.
func (c *Checker) begin(r Record) {
	if r.Grant == "" {
		return
	}
	if c.grants[r.Grant] == nil {
		c.grants[r.Grant] = &grantStory{user: r.User, app: r.App, answered: r.OutGen, current: r.Out}
	}
	if c.ofUser[r.User] == nil {
		c.ofUser[r.User] = map[string]bool{}
	}
	c.ofUser[r.User][r.Grant] = true
}

// refreshed takes an answer to a refresh token.
func (c *Checker) refreshed(r Record, before askedOf) {
	g := c.grants[r.Grant]
	if g == nil {
		c.violated(Once, "unknown grant", "a refresh token of grant %s was accepted, which no client got", r.Grant)
		return
	}
	if before.ended {
		c.violated(Kept, "ended grant accepted", "generation %d of grant %s, which had been ended", r.Gen, r.Grant)
	}
	if before.used > r.Gen {
		c.violated(Once, "old token accepted", "generation %d of grant %s after %d had been used", r.Gen, r.Grant,
			before.used)
	}
	if first, ok := c.seen[r.In]; ok && first.out != r.Out {
		c.violated(Once, "two successors", "of generation %d of grant %s: generations %d and %d", r.Gen, r.Grant,
			first.gen, r.OutGen)
	}
	c.seen[r.In] = successor{r.Out, r.OutGen}
	if r.OutGen != r.Gen+1 {
		c.violated(Once, "wrong generation", "generation %d of grant %s was answered with %d", r.Gen, r.Grant, r.OutGen)
	}
	g.accepted, g.answered = max(g.accepted, r.Gen), max(g.answered, r.OutGen)
	g.current = r.Out
}

// changed takes a new password: it ends every other grant of the user.
func (c *Checker) changed(r Record) {
	c.eachOther(r, func(g *grantStory) { g.ended = true })
}

// refused judges the answer to a probe.
func (c *Checker) refused(r Record, a *actState) {
	switch {
	case r.Status == 200:
		if r.Act == Login {
			c.violated(Kept, "old password accepted", "of %s", r.User)
			return
		}
		if r.Act == Refresh && a.before[r.Try].ended {
			c.violated(Kept, "ended grant accepted", "generation %d of grant %s", r.Gen, r.Grant)
			return
		}
		c.violated(Once, "old token accepted", "%s: generation %d of grant %s", r.Act, r.Gen, r.Grant)
	case r.Status == 400 && r.Code == "invalid_grant", r.Status == 401:
		c.Counts.Probes++
		if g := c.grants[r.Grant]; g != nil {
			g.ended = true
		}
	case r.Status == 500:
		c.violated(Answers, "500", "client %d: %s by replica %d", r.Client, r.Act, r.Replica)
	default:
		c.violated(Answers, "wrong answer", "client %d: a probe by %s was answered with %d %s", r.Client, r.Act, r.Status,
			r.Code)
	}
}

// Unfinished returns how many acts have no definite answer.
func (c *Checker) Unfinished() int { return len(c.tries) }

// End compares what was acknowledged with what the database holds.
func (c *Checker) End(s State, t Timeline) {
	for _, email := range slices.Sorted(maps.Keys(c.signedUp)) {
		if _, ok := s.Users[email]; !ok {
			c.violated(Kept, "sign-up lost", "%s", email)
		}
	}
	for email, u := range s.Users {
		if !u.HasPassword {
			c.violated(Whole, "user without credential", "%s", email)
		}
	}
	for consent := range c.consents {
		if !s.Consents[consent] {
			c.violated(Kept, "consent lost", "of %s for %s", consent[0], consent[1])
		}
	}
	for id, g := range c.grants {
		c.endGrant(id, g, s)
	}
	for code, found := range s.Codes {
		_, there := s.Grants[found.Grant]
		if found.Used && !there {
			c.violated(Whole, "code used without a grant", "%s", code)
		}
	}
	for code := range c.endedBy {
		if found, ok := s.Codes[code]; ok && found.Used && !s.Grants[found.Grant].Ended {
			c.violated(Whole, "code ended, its grant lives", "grant %s of code %s", found.Grant, code)
		}
	}
	c.endKeys(s, t)
}

func (c *Checker) endGrant(id string, g *grantStory, s State) {
	row, ok := s.Grants[id]
	switch {
	case !ok && !g.ended && !g.ending:
		c.violated(Kept, "grant lost", "%s of %s", id, g.user)
	case !ok:
	case g.ended && !row.Ended:
		c.violated(Kept, "revocation lost", "grant %s of %s", id, g.user)
	case row.Ended && !g.ended && !g.ending:
		c.violated(Sessions, "session ended by nobody", "grant %s of %s", id, g.user)
	case row.Generation < g.answered:
		c.violated(Kept, "refresh lost", "grant %s is at generation %d, and a client got %d", id, row.Generation, g.answered)
	case row.Generation > g.answered+1:
		c.violated(Once, "generation ahead", "grant %s is at generation %d, and its client got %d", id, row.Generation,
			g.answered)
	}
}
