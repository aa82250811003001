package web

import "strings"

// device is a browser by name. People are shown names from this list and never a User-Agent: that is a
// stranger's text.
type device struct{ Browser, System string }

// Known tells whether the browser is one of the list.
func (d device) Known() bool { return d.Browser != "" && d.System != "" }

// The lists are in order: browsers name those that they descend from as well.
var (
	browsers = [][2]string{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Vivaldi/", "Vivaldi"},
		{"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chromium/", "Chromium"}, {"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"},
		{"Safari/", "Safari"}, {"curl/", "curl"},
	}
	systems = [][2]string{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	}
)

func deviceOf(userAgent string) device {
	return device{firstNamed(browsers, userAgent), firstNamed(systems, userAgent)}
}

func firstNamed(list [][2]string, text string) string {
	for _, entry := range list {
		if strings.Contains(text, entry[0]) {
			return entry[1]
		}
	}
	return ""
}
