package device_test

import (
	"testing"

	"github.com/signet-id/signet/internal/device"
)

func TestOf(t *testing.T) {
	for agent, want := range map[string]device.Device{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": {Browser: "Firefox", System: "Linux"},
		"Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0": {
			Browser: "Edge", System: "Windows"},
		"Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) AppleWebKit/605.1.15 CriOS/140.0 Safari/604.1": {Browser: "Chrome",
			System: "iPad"},
		"curl/8.5.0":           {Browser: "curl"},
		"Buy at x.test":        {},
		"Go-http-client/1.1":   {Browser: "Go"},
		"python-requests/2.32": {Browser: "Python"},
		"Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0 Safari/537.36": {
			Browser: "Chrome", System: "webOS"},
		"AppleTV11,1/11.1":          {System: "Apple TV"},
		"":                          {},
		"Firefox Linux":             {System: "Linux"},
		"Firefox/{{7*7}} Linux <b>": {Browser: "Firefox", System: "Linux"},
	} {
		if got := device.Of(agent); got != want || got.Known() != (want.Browser != "" && want.System != "") {
			t.Errorf("%q: %+v, known %t", agent, got, got.Known())
		}
	}
	if (device.Device{Browser: "Buy at x.test", System: "Linux"}).Known() {
		t.Error("a name that is not in the lists is known")
	}
}
