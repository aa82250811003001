package chaos

import (
	"slices"
	"strings"
	"testing"
	"time"
)

var timeline = Timeline{Propagation: 10 * time.Second, MaxAge: 2 * time.Second, Skew: 2 * time.Second,
	Lifetime: 30 * time.Second}

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// story is a journal and what the database holds in the end.
type story struct {
	records  []Record
	state    State
	failures []Failure
}

// both appends a request and its answer.
func (s *story) both(r Record, status int, edit ...func(*Record)) {
	r.Kind = Ask
	s.records = append(s.records, r)
	r.Kind, r.Status = Got, status
	for _, fn := range edit {
		fn(&r)
	}
	s.records = append(s.records, r)
}

// again appends another try, after one without an answer.
func (s *story) again(r Record, status int, edit ...func(*Record)) {
	r.Kind = Ask
	s.records = append(s.records, r)
	r.Kind = Lost
	s.records = append(s.records, r)
	r.Try = 1
	s.both(r, status, edit...)
}

func code(text string) func(*Record) { return func(r *Record) { r.Code = text } }

func out(token, grant string, gen int64) func(*Record) {
	return func(r *Record) { r.Out, r.Grant, r.OutGen = token, grant, gen }
}

func refreshOf(number, gen int64) Record {
	return Record{Number: number, Act: Refresh, User: "ada", App: "app", Grant: "g1", Gen: gen,
		In: "rt" + string('0'+rune(gen))}
}

// tale is one life that breaks nothing: ada signs up, logs in, refreshes twice; key 3 follows key 2.
func tale() *story {
	s := &story{state: State{
		Users:    map[string]UserState{"ada": {HasPassword: true}},
		Grants:   map[string]GrantState{"g1": {User: "ada", App: "app", Generation: 3}},
		Codes:    map[string]CodeState{"code1": {Used: true, Grant: "g1"}},
		Consents: map[[2]string]bool{{"ada", "app"}: true},
		Keys: []KeyState{
			{ID: "k1", Algorithm: "EdDSA", Seq: 1, Created: noon, Activate: noon, Retire: noon.Add(15 * time.Second)},
			{ID: "k2", Algorithm: "EdDSA", Seq: 2, Created: noon, Activate: noon.Add(15 * time.Second),
				Retire: noon.Add(30 * time.Second)},
			{ID: "k3", Algorithm: "EdDSA", Seq: 3, Created: noon.Add(15 * time.Second), Activate: noon.Add(30 * time.Second),
				HasPrivate: true},
		},
	}}
	s.both(Record{Number: 1, Act: SignUp, User: "ada"}, 201)
	s.both(Record{Number: 2, Act: ConsentForm, User: "ada", App: "app"}, 303)
	s.both(Record{Number: 3, Act: Exchange, User: "ada", App: "app", In: "code1"}, 200, out("rt1", "g1", 1))
	s.both(refreshOf(4, 1), 200, out("rt2", "g1", 2))
	s.both(refreshOf(5, 2), 200, out("rt3", "g1", 3))
	return s
}

func TestTheCheckerCanFail(t *testing.T) {
	password := Record{Number: 9, Act: Password, User: "ada", Grant: "g9"}
	for name, c := range map[string]struct {
		edit func(*story)
		want []string
	}{
		"nothing is broken": {func(*story) {}, nil},
		"503 and lost answers break nothing": {func(s *story) {
			s.both(refreshOf(6, 3), 503, func(r *Record) { r.Retry = true })
			s.again(refreshOf(7, 3), 200, out("rt4", "g1", 4))
			s.again(Record{Number: 8, Act: SignUp, User: "bea"}, 409, code("user_already_exists"))
			s.state.Users["bea"] = UserState{HasPassword: true}
			s.state.Grants["g1"] = GrantState{Generation: 4}
		}, nil},
		"a sign-up without an answer is not there": {func(s *story) {
			s.records = append(s.records, Record{Number: 6, Kind: Ask, Act: SignUp, User: "bea"})
		}, nil},

		"I1 a sign-up is gone": {func(s *story) { delete(s.state.Users, "ada") },
			[]string{"I1 sign-up lost"}},
		"I1 a consent is gone": {func(s *story) { s.state.Consents = nil },
			[]string{"I1 consent lost"}},
		"I1 a refresh is gone": {func(s *story) { s.state.Grants["g1"] = GrantState{Generation: 2} }, []string{"I1 refresh lost"}},
		"I1 a grant is gone": {func(s *story) { s.state.Grants, s.state.Codes = nil, nil },
			[]string{"I1 grant lost"}},
		"I1 a revocation is gone": {func(s *story) {
			s.both(Record{Number: 6, Act: Revoke,
				User: "ada", Grant: "g1"}, 200)
		}, []string{"I1 revocation lost"}},
		"I1 a new password did not end the other sessions": {func(s *story) { s.both(password, 204) },
			[]string{"I1 revocation lost"}},
		"I1 a new password whose answer was lost did not": {func(s *story) {
			s.again(password, 403,
				code("wrong_password"))
		}, []string{"I1 revocation lost"}},
		"I1 a revoked session is refreshed": {func(s *story) {
			s.both(Record{Number: 6, Act: Revoke, User: "ada", Grant: "g1"}, 200)
			s.both(refreshOf(7, 3), 200, out("rt4", "g1", 4))
			s.state.Grants["g1"] = GrantState{Generation: 4, Ended: true}
		}, []string{"I1 ended grant accepted"}},
		"I1 a probe of a revoked session is accepted": {func(s *story) {
			s.both(Record{Number: 6, Act: Revoke, User: "ada", Grant: "g1"}, 200)
			probe := refreshOf(7, 3)
			probe.Want = Refused
			s.both(probe, 200)
			s.state.Grants["g1"] = GrantState{Generation: 4, Ended: true}
		}, []string{"I1 ended grant accepted"}},
		"I1 an old password is accepted": {func(s *story) {
			s.both(Record{Number: 6, Act: Login, Want: Refused, User: "ada"}, 200)
		}, []string{"I1 old password accepted"}},
		"I1 a key's revocation is gone": {func(s *story) {
			s.both(Record{Number: 6, Act: KeyRevoking, Key: "k2"}, 200)
		}, []string{"I1 key revocation lost"}},

		"I1 a new password that an earlier act may have set": {func(s *story) {
			lost := password
			lost.Key = "k2"
			s.again(lost, 401, code("token_expired"))
			later := password
			later.Number = 10
			s.both(later, 403, code("wrong_password"))
		}, []string{"I1 revocation lost"}},
		"I6 a wrong password that no act can explain": {func(s *story) {
			s.both(password, 403, code("wrong_password"))
		}, []string{"I6 wrong answer"}},
		"I2 a code is redeemed twice": {func(s *story) {
			s.both(Record{Number: 6, Act: Exchange, User: "ada", App: "app", In: "code1"}, 200, out("rt1b", "g2", 1))
			s.state.Grants["g2"] = GrantState{Generation: 1}
		}, []string{"I2 code redeemed twice"}},
		"I2 a token has two successors": {func(s *story) {
			s.records = slices.Insert(s.records, 8, Record{Number: 6, Kind: Ask, Act: Refresh, Grant: "g1", Gen: 1, In: "rt1"},
				Record{Number: 6, Kind: Got, Status: 200, Act: Refresh, Grant: "g1", Gen: 1, In: "rt1", Out: "other", OutGen: 2})
		}, []string{"I2 two successors"}},
		"I2 an old token is accepted": {func(s *story) { s.both(refreshOf(6, 1), 200, out("rt2", "g1", 2)) },
			[]string{"I2 old token accepted"}},
		"I2 the replay of a token is accepted": {func(s *story) {
			probe := refreshOf(6, 1)
			probe.Want = Refused
			s.both(probe, 200)
		}, []string{"I2 old token accepted"}},
		"I2 a generation is left out": {func(s *story) {
			s.both(refreshOf(6, 3), 200, out("rt5", "g1", 5))
			s.state.Grants["g1"] = GrantState{Generation: 5}
		}, []string{"I2 wrong generation"}},
		"I2 the database is ahead of every client": {func(s *story) { s.state.Grants["g1"] = GrantState{Generation: 5} },
			[]string{"I2 generation ahead"}},
		"I2 a token of an unknown grant": {func(s *story) {
			s.both(Record{Number: 6, Act: Refresh, Grant: "gx",
				Gen: 1}, 200)
		}, []string{"I2 unknown grant"}},
		"I2 two keys have one turn": {func(s *story) {
			s.state.Keys[2].Seq = 2
		}, []string{"I2 two keys of one turn"}},

		"I3 a user without a credential": {func(s *story) { s.state.Users["ada"] = UserState{} },
			[]string{"I3 user without credential"}},
		"I3 a code that was used for nothing": {func(s *story) {
			s.state.Codes["code2"] = CodeState{Used: true,
				Grant: "gx"}
		}, []string{"I3 code used without a grant"}},
		"I3 a code ended with a lost answer, and its grant lives": {func(s *story) {
			s.again(Record{Number: 6, Act: Exchange, User: "ada", App: "app", In: "code2"}, 400, code("invalid_grant"))
			s.state.Codes["code2"] = CodeState{Used: true, Grant: "g2"}
			s.state.Grants["g2"] = GrantState{Generation: 1}
		}, []string{"I3 code ended, its grant lives"}},
		"I3 no successor of the last key": {func(s *story) { s.state.Keys = s.state.Keys[:1] },
			[]string{"I3 no successor"}},
		"I3 a successor without its private half": {func(s *story) { s.state.Keys[2].HasPrivate = false },
			[]string{"I3 no successor"}},

		"I4 a session is lost": {func(s *story) {
			s.again(refreshOf(6, 3), 401, code("token_invalid"))
		}, []string{"I4 session lost"}},
		"I4 and I6 a session is lost by a false invalid_grant": {func(s *story) {
			s.again(refreshOf(6, 3), 400, code("invalid_grant"))
		}, []string{"I4 session lost", "I6 false invalid_grant"}},
		"I4 a session that no act ended": {func(s *story) {
			s.state.Grants["g1"] = GrantState{Generation: 3,
				Ended: true}
		}, []string{"I4 session ended by nobody"}},

		"I5 a verification fails": {func(s *story) {
			s.failures = []Failure{{Key: "k2", Issued: noon.Add(20 * time.Second), Expires: noon.Add(50 * time.Second),
				At: noon.Add(21 * time.Second)}}
		}, []string{"I5 failed verification"}},
		"I5 but not with a key that was revoked": {func(s *story) {
			s.state.Keys[1].Revoked = noon.Add(20 * time.Second)
			s.failures = []Failure{{Key: "k2", At: noon.Add(21 * time.Second)}}
		}, nil},
		"I5 nor with one that had to sign too early": {func(s *story) {
			revokeActive(s)
			s.failures = []Failure{{Key: "k3", At: noon.Add(17 * time.Second)}}
		}, nil},
		"I5 which verifiers know a little later": {func(s *story) {
			revokeActive(s)
			s.failures = []Failure{{Key: "k3", At: noon.Add(40 * time.Second)}}
		}, []string{"I5 failed verification"}},
		"I5 a key signs before it was known": {func(s *story) {
			s.state.Keys[2].Created = noon.Add(25 * time.Second)
		}, []string{"I5 signed before it was known"}},
		"I5 nor is a key that was revoked before its turn a time without one": {func(s *story) {
			s.state.Keys[1].Revoked, s.state.Keys[1].Retire = noon.Add(5*time.Second), noon.Add(5*time.Second)
			s.state.Keys[0].Retire, s.state.Keys[2].Created = noon.Add(16*time.Second), noon.Add(5*time.Second)
			s.state.Keys[2].Activate = noon.Add(16 * time.Second)
		}, nil},
		"I5 an emergency's key signs at once, set back by the skew": {func(s *story) {
			revokeActive(s)
			s.state.Keys[2].Created, s.state.Keys[2].Activate = noon.Add(15*time.Second), noon.Add(14*time.Second)
			s.failures = []Failure{{Key: "k3", At: noon.Add(17 * time.Second)}}
		}, nil},
		"I5 a time without a signing key": {func(s *story) {
			s.state.Keys[1].Retire = noon.Add(20 * time.Second)
		}, []string{"I5 no signing key"}},

		"I5 a key removed while its tokens live": {func(s *story) {
			s.state.Keys[0].Remove = noon.Add(44 * time.Second)
		}, []string{"I5 removed while its tokens lived"}},

		"I6 500": {func(s *story) { s.both(Record{Number: 6, Act: UserInfo}, 500) }, []string{"I6 500"}},
		"I6 500 to a probe": {func(s *story) { s.both(Record{Number: 6, Act: Login, Want: Refused}, 500) },
			[]string{"I6 500"}},
		"I6 503 without Retry-After": {func(s *story) { s.both(Record{Number: 6, Act: UserInfo}, 503) },
			[]string{"I6 no Retry-After"}},
		"I6 a refusal for no reason": {func(s *story) { s.both(Record{Number: 6, Act: ConsentForm}, 403) },
			[]string{"I6 wrong answer"}},
		"I6 409 to a first sign-up": {func(s *story) { s.both(Record{Number: 6, Act: SignUp, User: "bea"}, 409) },
			[]string{"I6 wrong answer"}},
		"I6 a code is refused at the first try": {func(s *story) {
			s.both(Record{Number: 6, Act: Exchange, In: "code2"}, 400, code("invalid_grant"))
		}, []string{"I6 wrong answer"}},
		"I6 an unexpected answer to a probe": {func(s *story) {
			s.both(Record{Number: 6, Act: Refresh, Want: Refused},
				404)
		}, []string{"I6 wrong answer"}},
		"I6 a live access token is refused": {func(s *story) {
			s.both(Record{Number: 6, Act: UserInfo, Key: "k2"}, 401, code("invalid_token"))
		}, []string{"I6 live access token refused"}},
		"I6 but not one of a revoked key": {func(s *story) {
			s.state.Keys[1].Revoked = noon.Add(20 * time.Second)
			s.both(Record{Number: 6, Act: UserInfo, Key: "k2"}, 401, code("invalid_token"))
		}, nil},
		"I6 but not one of a key that was removed": {func(s *story) {
			s.state.Keys[0].Remove = noon.Add(50 * time.Second)
			s.both(Record{Number: 6, Act: UserInfo, Key: "k1", At: noon.Add(50 * time.Second).UnixMicro()}, 401, code("invalid_token"))
		}, nil},
		"I6 though it is removed soon": {func(s *story) {
			s.state.Keys[0].Remove = noon.Add(50 * time.Second)
			s.both(Record{Number: 6, Act: UserInfo, Key: "k1", At: noon.Add(49 * time.Second).UnixMicro()}, 401, code("invalid_token"))
		}, []string{"I6 live access token refused"}},
		"I6 a revoked token is called active": {func(s *story) {
			s.both(Record{Number: 6, Act: Revoke, User: "ada", Grant: "g1"}, 200)
			s.both(Record{Number: 7, Act: Introspect, Grant: "g1"}, 200, func(r *Record) { r.Active = true })
			s.state.Grants["g1"] = GrantState{Generation: 3, Ended: true}
		}, []string{"I6 false active"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := tale()
			c.edit(s)
			got := verdict(t, s)
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// revokeActive revokes the second key a second after it began to sign, and lets the third sign at once.
func revokeActive(s *story) {
	at := noon.Add(16 * time.Second)
	s.state.Keys[1].Revoked, s.state.Keys[1].Retire, s.state.Keys[2].Activate = at, at, at
}

// verdict returns the kinds of what a story breaks.
func verdict(t *testing.T, s *story) (kinds []string) {
	t.Helper()
	c := NewChecker()
	for _, r := range s.records {
		if err := c.Record(r); err != nil {
			t.Fatal(err)
		}
	}
	c.End(s.state, timeline)
	c.Failures(s.state, timeline, s.failures)
	for _, v := range c.Violations {
		kinds = append(kinds, string(v.Invariant)+" "+v.Kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

func TestWhatTheCheckerCounts(t *testing.T) {
	s := tale()
	s.again(refreshOf(6, 3), 200, out("rt4", "g1", 4))
	s.both(Record{Number: 7, Act: UserInfo}, 503, func(r *Record) { r.Retry = true })
	probe := refreshOf(8, 1)
	probe.Want = Refused
	s.both(probe, 400, code("invalid_grant"))
	s.state.Grants["g1"] = GrantState{Generation: 4, Ended: true}
	c := NewChecker()
	for _, r := range s.records {
		if err := c.Record(r); err != nil {
			t.Fatal(err)
		}
	}
	c.End(s.state, timeline)
	n := c.Counts
	if n.Acknowledged[Refresh] != 3 || n.Acknowledged[SignUp] != 1 || n.Requests != 9 || n.Unavailable != 1 || n.Lost != 1 ||
		n.Retried != 1 || n.Probes != 1 || c.Unfinished() != 1 || len(c.Violations) != 0 {
		t.Errorf("%+v, %d unfinished, %v", n, c.Unfinished(), c.Violations)
	}
}

func TestAJournalThatMakesNoSense(t *testing.T) {
	for name, r := range map[string]Record{
		"an answer without a request": {Kind: Got, Act: SignUp, Status: 201},
		"a loss without a request":    {Kind: Lost, Act: SignUp},
		"an unknown kind":             {Kind: "maybe", Act: SignUp},
	} {
		if err := NewChecker().Record(r); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestReportsShowWhatIsBroken(t *testing.T) {
	s := tale()
	delete(s.state.Users, "ada")
	c := NewChecker()
	for _, r := range s.records {
		if err := c.Record(r); err != nil {
			t.Fatal(err)
		}
	}
	c.End(s.state, timeline)
	live := NewLive()
	live.Fault("database killed")
	prober := &Prober{}
	for _, took := range []time.Duration{3, 1, 2} {
		prober.recoveries = append(prober.recoveries, recovery{first: took * time.Second, last: 2 * took * time.Second, answered: 3})
	}
	prober.recoveries = append(prober.recoveries, recovery{first: time.Minute})
	var b strings.Builder
	(&Report{Checker: c, Name: "a run", Took: time.Minute, Live: live, Prober: prober, Checked: 7,
		Before: []Usage{{5, 6, 7, 8 << 20}}, Now: []Usage{{1, 2, 3, 4 << 20}}}).Print(&b)
	for _, line := range []string{"a run, 1m0s", "acts lost 1", "refresh 2", "verifications 7",
		"first success median 2s, worst 3s, of 3 of every replica that is under no fault median 4s, worst 6s",
		"left out: every replica was under a fault 1",
		"database killed 1", "1, 2, 4 MiB (at the beginning 5, 6, 8 MiB)", "BROKEN I1 sign-up lost: ada", "1 violations"} {
		if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), line) {
			t.Errorf("the report lacks %q:\n%s", line, b.String())
		}
	}
}
