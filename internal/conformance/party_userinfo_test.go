package conformance

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// userinfo requests userinfo by GET.
func (p *party) userinfo(l login) map[string]any {
	p.t.Helper()
	r := p.request("GET", p.op.text("userinfo_endpoint"), "")
	r.Header.Set("Authorization", "Bearer "+l.access)
	return p.userinfoClaims(l, p.call(r))
}

// userinfoClaims reads an answer of userinfo.
func (p *party) userinfoClaims(l login, a answer) map[string]any {
	p.t.Helper()
	object := p.json(a, http.StatusOK)
	p.claims("userinfo", object)
	if l.id != nil && object["sub"] != l.id["sub"] { // with code token, the ID token is yet to come
		p.t.Errorf("userinfo is about %v, the ID token about %v", object["sub"], l.id["sub"])
	}
	return object
}

// scopeClaims are the claims that a scope stands for (OIDC Core section 5.4).
var scopeClaims = map[string][]string{
	"openid": {"sub"},
	"profile": {"name", "given_name", "family_name", "middle_name", "nickname", "profile", "picture", "website",
		"gender", "birthdate",
		"zoneinfo", "locale", "updated_at", "preferred_username"},
	"email":   {"email", "email_verified"},
	"address": {"address"},
	"phone":   {"phone_number", "phone_number_verified"},
}

var birthdate = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2}|\d{4})$`)

// claims demands that standard claims have the types of OIDC Core section 5.1.
func (p *party) claims(where string, object map[string]any) {
	p.t.Helper()
	text := func(v any) bool {
		s, ok := v.(string)
		return ok && strings.TrimSpace(s) != "" && !strings.EqualFold(s, "null")
	}
	for name, value := range object {
		ok := true
		switch name {
		case "email_verified", "phone_number_verified":
			_, ok = value.(bool)
		case "updated_at":
			seconds, number := value.(float64)
			at := time.Unix(int64(seconds), 0)
			ok = number && at.Year() >= 1990 && !at.After(p.s.Clock.Now())
		case "birthdate":
			ok = birthdate.MatchString(asText(value))
		case "address":
			members, object := value.(map[string]any)
			ok = object && len(members) > 0
			for _, member := range members {
				ok = ok && text(member)
			}
		default:
			if name == "sub" || slices.Contains(scopeClaims["profile"], name) || name == "email" || name == "phone_number" {
				ok = text(value)
			}
		}
		if !ok {
			p.t.Errorf("%s has the claim %s as %v", where, name, value)
		}
	}
}
