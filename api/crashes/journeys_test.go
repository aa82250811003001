package crashes_test

import (
	"slices"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

func TestF16EveryStatementOfEveryJourney(t *testing.T) {
	eachStore(t, func(t *testing.T, open func(*testing.T) *store) {
		points, done := 0, swept{}
		for _, j := range journeys {
			t.Run(j.name, func(t *testing.T) { points += sweep(t, j, open(t), done) })
		}
		t.Logf("%d journeys, %d points", len(journeys), points)
	})
}

var journeys = slices.Concat(accountJourneys, pageJourneys, oauthJourneys, factorJourneys, adminJourneys)

// Routes that ask no database, and those that journeys of their own outside of HTTP would need.
var without = map[string]string{}

func TestEveryRouteIsInAJourney(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	for _, r := range s.Replicas[0].API.Routes() {
		name := r.Method + " " + r.Path
		if !walked.all[name] && without[name] == "" {
			t.Errorf("%s is in no journey: let one take it, and see what its answers are when statements fail", name)
		}
	}
}
