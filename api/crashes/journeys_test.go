package crashes_test

import (
	"slices"
	"testing"
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

var journeys = slices.Concat(accountJourneys, oauthJourneys)
