package conformance

import "slices"

// The Implicit and Hybrid profiles, and their Form Post twins, run the modules of the Basic profile
// with each of their response types. The lists follow the suite's OIDCCImplicitTestPlan and
// OIDCCHybridTestPlan.

// nonceFails takes the place of the module that succeeds without a nonce, where an ID token comes
// from the authorization endpoint.
var nonceFails = module{"oidcc-ensure-request-without-nonce-fails", passes, withoutNonceFails}

const nonceSucceeds = "oidcc-ensure-request-without-nonce-succeeds-for-code-flow"

// basicWithout returns the modules of the Basic profile but for some. nonce says whether a nonce is
// demanded.
func basicWithout(nonce bool, names ...string) []module {
	var out []module
	for _, m := range basic {
		switch {
		case slices.Contains(names, m.name):
		case m.name == nonceSucceeds && nonce:
			out = append(out, nonceFails)
		default:
			out = append(out, m)
		}
	}
	return out
}

// What is only tried for one response type, or for none, of a plan.
var (
	needsUserinfo = []string{"oidcc-userinfo-get", "oidcc-userinfo-post-header", "oidcc-userinfo-post-body"}
	needsCode     = []string{
		"oidcc-codereuse", "oidcc-codereuse-30seconds", "oidcc-server-client-secret-post", "oidcc-refresh-token",
		"oidcc-ensure-request-with-valid-pkce-succeeds",
	}
	once     = []string{"oidcc-response-type-missing"}
	firstRun = []string{"oidcc-alternate-happy-flow", "oidcc-ensure-request-with-valid-pkce-succeeds"}
	ofBasic  = []string{"oidcc-idtoken-unsigned", "oidcc-ensure-post-request-succeeds"}
)

var implicitRuns = []run{
	{"id_token", basicWithout(true, slices.Concat(ofBasic, needsCode, needsUserinfo, once)...)},
	{"id_token token", basicWithout(true, slices.Concat(ofBasic, needsCode)...)},
}

var hybridRuns = []run{
	{"code id_token", basicWithout(true, ofBasic...)},
	{"code token", basicWithout(false, slices.Concat(ofBasic, once, firstRun)...)},
	{"code id_token token", basicWithout(true, slices.Concat(ofBasic, once, firstRun)...)},
}

var frontPlans = []plan{
	{name: "implicit", title: "Implicit", suite: "oidcc-implicit-certification-test-plan", variant: static, runs: implicitRuns},
	{name: "hybrid", title: "Hybrid", suite: "oidcc-hybrid-certification-test-plan", variant: static, runs: hybridRuns},
	{name: "formpost-implicit", title: "Form Post Implicit", suite: "oidcc-formpost-implicit-certification-test-plan",
		variant: static, formPost: true, runs: implicitRuns},
	{name: "formpost-hybrid", title: "Form Post Hybrid", suite: "oidcc-formpost-hybrid-certification-test-plan",
		variant: static, formPost: true, runs: hybridRuns},
}
