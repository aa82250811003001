// Package device names browsers, other programs and operating systems for people. The names come from fixed lists. A
// User-Agent is a stranger's text and is never shown.
package device

import "strings"

// Device is a browser, or another program, on an operating system. The zero value is an unknown one.
type Device struct{ Browser, System string }

// Known reports whether both names are in the lists.
func (d Device) Known() bool { return has(browsers, d.Browser) && has(systems, d.System) }

// The lists are in order: browsers name those that they descend from as well.
var (
	browsers = [][2]string{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"}, {"Vivaldi/", "Vivaldi"}, {"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chromium/", "Chromium"},
		{"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"},
		// What command lines and boxes under televisions are made with.
		{"Wget/", "Wget"}, {"Go-http-client/", "Go"}, {"python-requests/", "Python"}, {"python-httpx/", "Python"},
		{"Python-urllib/", "Python"}, {"aiohttp/", "Python"}, {"undici", "Node.js"}, {"node-fetch", "Node.js"},
		{"okhttp/", "OkHttp"}, {"Java-http-client/", "Java"}, {"Java/", "Java"}, {"PowerShell/", "PowerShell"},
	}
	systems = [][2]string{
		{"Tizen", "Tizen"}, {"Web0S", "webOS"}, {"AppleTV", "Apple TV"}, {"Apple TV", "Apple TV"}, {"CrKey", "Chromecast"},
		{"Roku/", "Roku"}, {"PlayStation", "PlayStation"}, {"Xbox", "Xbox"}, {"Nintendo", "Nintendo"},
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"},
		{"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	}
)

// Of returns the device that a User-Agent claims to be.
func Of(userAgent string) Device {
	return Device{firstNamed(browsers, userAgent), firstNamed(systems, userAgent)}
}

func firstNamed(list [][2]string, text string) string {
	for _, entry := range list {
		if strings.Contains(text, entry[0]) {
			return entry[1]
		}
	}
	return ""
}

func has(list [][2]string, name string) bool {
	for _, entry := range list {
		if entry[1] == name {
			return true
		}
	}
	return false
}
