package keys

import (
	"strings"
	"testing"
	"time"
)

func TestStateIsAFunctionOfTime(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC) }
	open := Key{CreatedAt: at(0), ActivateAt: at(2)}
	closed := open
	closed.RetireAt, closed.RemoveAt = at(4), at(6)
	revoked := closed
	revoked.RevokedAt = at(3)
	dropped := Key{CreatedAt: at(0), ActivateAt: at(2), RetireAt: at(2), RemoveAt: at(6)}

	for _, c := range []struct {
		name string
		key  Key
		now  time.Time
		want State
	}{
		{"before it activates", open, at(1), Pending},
		{"in the instant in which it activates", open, at(2), Active},
		{"an instant before that", open, at(2).Add(-1), Pending},
		{"active without an end", open, at(23), Active},
		{"active with a known end", closed, at(3), Active},
		{"in the instant in which it retires", closed, at(4), Retiring},
		{"retired, not removed", closed, at(5), Retiring},
		{"in the instant in which it is removed", closed, at(6), Removed},
		{"long gone", closed, at(23), Removed},
		{"revoked while active", revoked, at(3), Removed},
		{"revoked by a clock that is ahead of ours", revoked, at(1), Removed},
		{"dropped before it signed, still ahead", dropped, at(1), Pending},
		{"dropped before it signed, never active", dropped, at(2), Retiring},
	} {
		if got := c.key.State(c.now); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestPolicyArithmetic(t *testing.T) {
	p := standard()
	k := Key{RetireAt: time.Unix(0, 0)}
	k.RemoveAt = k.RetireAt.Add(p.verifyWindow())
	for _, c := range []struct {
		name      string
		got, want time.Duration
	}{
		{"stale limit", p.StaleLimit(), 6 * time.Minute},
		{"stale limit of a short propagation", Policy{Propagation: 20 * time.Second}.StaleLimit(), 5 * time.Second},
		{"age at which the JWKS is not shown any more", p.JWKSLimit(), 54 * time.Minute},
		{"tolerated clock offset", p.ClockLimit(), 30 * time.Second},
		{"retirement to removal", p.verifyWindow(), 17 * time.Minute},
		{"retirement to wiping", p.wipeAt(&k).Sub(k.RetireAt), 7 * time.Minute},
		{"retirement to deletion", p.forgetAt(&k).Sub(k.RetireAt), 720*time.Hour + 7*time.Minute},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}

	p.RefreshAbsolute = time.Minute
	if got := p.forgetAt(&k); !got.Equal(k.RemoveAt) {
		t.Errorf("a published key would be deleted at %v, before it is removed at %v", got, k.RemoveAt)
	}
	now := time.Unix(1e9, 0)
	if got := p.successorAt(now, now); got.Sub(now) != p.Rotation {
		t.Errorf("a successor takes over after %v", got.Sub(now))
	}
	if got := p.successorAt(now, now.Add(-9000*time.Hour)); got.Sub(now) != p.Propagation {
		t.Errorf("after months off a successor takes over after %v", got.Sub(now))
	}
}

func TestPolicyValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Policy)
		want   []string // in the refusal; none: accepted
	}{
		{"the defaults", func(*Policy) {}, nil},
		{"propagation covers exactly what it must", func(p *Policy) { p.Propagation = 400 * time.Second }, nil},
		{"the shortest of all", func(p *Policy) {
			p.JWKSMaxAge, p.ClockSkew, p.Propagation, p.Rotation = 2*time.Second, 2*time.Second, 9*time.Second, 9*time.Second
		}, nil},
		{"propagation too short shows the timeline", func(p *Policy) { p.Propagation = 6 * time.Minute },
			[]string{"keys.propagation (6m0s) is too short", "36s", "5m36s", "6m36s", "at least 6m40s"}},
		{"propagation too short with a stale limit of 5 s", func(p *Policy) {
			p.JWKSMaxAge, p.ClockSkew, p.Propagation = 2*time.Second, 2*time.Second, 8*time.Second
		},
			[]string{"at least 9s"}},
		{"rotation shorter than propagation", func(p *Policy) { p.Rotation = 59 * time.Minute },
			[]string{"keys.rotation (59m0s)", "1h0m0s"}},
		{"both", func(p *Policy) { p.Propagation, p.Rotation = 2*time.Minute, time.Minute },
			[]string{"keys.propagation", "keys.rotation"}},
		{"no algorithm", func(p *Policy) { p.Algorithms = nil }, []string{"keys.algorithms is empty"}},
		{"an algorithm twice", func(p *Policy) { p.Algorithms = []string{"ES256", "ES256"} }, []string{"ES256 twice"}},
		{"a symmetric algorithm", func(p *Policy) { p.Algorithms = []string{"HS256"} }, []string{`"HS256"`}},
		{"a negative max-age", func(p *Policy) { p.JWKSMaxAge = -1 }, []string{"keys.jwks_max_age"}},
		{"no skew: no two clocks agree to the nanosecond", func(p *Policy) { p.ClockSkew = 0 }, []string{"clock_skew"}},
		{"zero value", func(p *Policy) { *p = Policy{} },
			[]string{"keys.algorithms", "clock_skew", "lifetime", "refresh.absolute"}},
	} {
		p := standard()
		c.change(&p)
		err := p.Validate()
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the refusal lacks %q: %v", c.name, want, err)
			}
		}
	}
	// The advice is right: what it names is accepted, a second less is not.
	for _, maxAge := range []time.Duration{0, 7 * time.Second, 44 * time.Second, 46 * time.Second,
		time.Minute, time.Hour} {
		p := standard()
		p.JWKSMaxAge, p.ClockSkew, p.Rotation = maxAge, time.Second, 1000*time.Hour
		p.Propagation = p.leastPropagation()
		if err := p.Validate(); err != nil {
			t.Errorf("advised %v for max-age %v: %v", p.Propagation, maxAge, err)
		}
		p.Propagation -= time.Second
		if p.Validate() == nil {
			t.Errorf("advised %v for max-age %v, but less does", p.Propagation+time.Second, maxAge)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Hour: "1h", 90 * time.Minute: "1h30m", 10 * time.Minute: "10m", 10 * time.Second: "10s",
		100*time.Hour + 10*time.Second: "100h0m10s",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
