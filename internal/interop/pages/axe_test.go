//go:build interop

package pages

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/internal/interop/browser"
)

// still makes the colours those of the device at once, which otherwise change over some frames.
const still = "document.getAnimations().forEach(a => a.finish())"

// axe-core finds no fault in any page, by the rules of WCAG 2.2 and by its own rules.
func TestAxeFindsNothing(t *testing.T) {
	axe, err := os.ReadFile("../node/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("%v: run npm ci in internal/interop/node, or make interop", err)
	}
	origin := serve(t, web.Options{Service: "Acme"})
	b := browser.Start(t, "--ignore-certificate-errors")
	each(t, b, slices.Concat(all, few), func(t *testing.T, tab *browser.Tab, n int, s shown) {
		for _, language := range []web.Locale{"en", "de", "ar"} {
			if s.name == "form-post-without-scripts" {
				tab.Scripts(false) // with scripts the page would be left at once
			}
			tab.Open(fmt.Sprintf("%s/pages/%s/%s", origin, language, s.name))
			tab.Scripts(true)
			tab.Eval(string(axe)+"\n;0", nil)
			for _, d := range devices { // a page that is open follows the device
				if (language != "en" || n >= len(all)) && d.name != "light" {
					continue
				}
				tab.Emulate(d.Device)
				tab.Eval(still, nil)
				var found []struct {
					ID, Help string
					Nodes    []struct {
						HTML           string
						FailureSummary string
					}
				}
				tab.Eval(`axe.run({resultTypes: ['violations']}).then(r => r.violations)`, &found)
				for _, f := range found {
					where, _ := json.Marshal(f.Nodes)
					t.Errorf("%s %s: %s: %s: %s", language, d.name, f.ID, f.Help, where)
				}
			}
		}
	})
}
