package web

import (
	"fmt"
	"html/template"
	"strings"
)

// The languages there are. Another one is another field of text: the compiler then names every text that lacks it.
const (
	English Locale = "en"
	German  Locale = "de"
)

var locales = []Locale{English, German}

// text is one text in every language. {names} stand for values.
type text struct{ en, de string }

func (t text) in(l Locale) string {
	if l == German {
		return t.de
	}
	return t.en
}

// texts are all there are, by the names that the templates use.
var texts = map[string]text{
	"title.problem":  {"Error", "Fehler"},
	"title.login":    {"Sign in", "Anmelden"},
	"title.again":    {"Confirm it’s you", "Bitte bestätigen"},
	"title.signup":   {"Create an account", "Konto anlegen"},
	"title.consent":  {"Allow access", "Zugriff erlauben"},
	"title.logout":   {"Sign out", "Abmelden"},
	"title.out_here": {"You are signed out, and still here", "Sie sind abgemeldet, und noch hier"},
	"title.out":      {"You are signed out", "Sie sind abgemeldet"},
	"title.in":       {"You are signed in", "Sie sind angemeldet"},
	"title.formpost": {"One moment", "Einen Moment"},

	"login.heading":        {"Sign in", "Anmelden"},
	"login.client":         {"to continue to {client}", "um mit {client} fortzufahren"},
	"login.again":          {"Confirm it’s you", "Bitte bestätigen Sie, dass Sie es sind"},
	"login.again.why":      {"Enter your password once more to continue.", "Geben Sie Ihr Passwort noch einmal ein, um fortzufahren."},
	"login.again.client":   {"{client} asks you to enter your password once more.", "{client} bittet Sie, Ihr Passwort noch einmal einzugeben."},
	"login.submit":         {"Sign in", "Anmelden"},
	"login.again.submit":   {"Continue", "Weiter"},
	"login.signup":         {"New here?", "Neu hier?"},
	"login.signup.link":    {"Create an account", "Konto anlegen"},
	"signup.heading":       {"Create an account", "Konto anlegen"},
	"signup.submit":        {"Create account", "Konto anlegen"},
	"signup.login":         {"Already have an account?", "Sie haben schon ein Konto?"},
	"signup.login.link":    {"Sign in", "Anmelden"},
	"signup.more":          {"Name and username (optional)", "Name und Benutzername (freiwillig)"},
	"field.name":           {"Email address or username", "E-Mail-Adresse oder Benutzername"},
	"field.email":          {"Email address", "E-Mail-Adresse"},
	"field.password":       {"Password", "Passwort"},
	"field.username":       {"Username", "Benutzername"},
	"field.given_name":     {"Given name", "Vorname"},
	"field.family_name":    {"Family name", "Nachname"},
	"hint.password":        {"At least {count} characters. A few words in a row are fine.", "Mindestens {count} Zeichen. Ein paar Wörter hintereinander sind gut."},
	"hint.username":        {"Another way to sign in, beside your email address.", "Damit können Sie sich auch anmelden, statt mit der E-Mail-Adresse."},
	"app.unverified":       {"Not verified", "Nicht überprüft"},
	"app.unverified.why":   {"{service} has not checked who is behind this app.", "{service} hat nicht geprüft, wer hinter dieser App steht."},
	"app.unnamed":          {"An app without a name", "Eine App ohne Namen"},
	"app.policy":           {"Privacy policy", "Datenschutzerklärung"},
	"app.terms":            {"Terms of service", "Nutzungsbedingungen"},
	"app.links":            {"About {client}", "Über {client}"},
	"new.tab":              {"(opens in a new tab)", "(öffnet einen neuen Tab)"},
	"consent.heading":      {"Allow {client} access to your account?", "{client} Zugriff auf Ihr Konto erlauben?"},
	"consent.scopes":       {"{client} will be able to:", "{client} kann dann:"},
	"consent.resources":    {"It may use this at:", "Das gilt für:"},
	"consent.user":         {"Signed in as {user}", "Angemeldet als {user}"},
	"consent.switch":       {"Use another account", "Anderes Konto verwenden"},
	"consent.approve":      {"Allow", "Erlauben"},
	"consent.deny":         {"Don’t allow", "Ablehnen"},
	"logout.heading":       {"Sign out?", "Abmelden?"},
	"logout.user":          {"You are signed in as {user}.", "Sie sind angemeldet als {user}."},
	"logout.submit":        {"Sign out", "Abmelden"},
	"out.heading":          {"You are signed out", "Sie sind abgemeldet"},
	"out.text":             {"Apps that you are still signed in to may keep a session of their own.", "Apps, in denen Sie noch angemeldet sind, können eine eigene Sitzung behalten."},
	"out.not_registered":   {"You were not sent back to the app: the address that it asked for is not one that it is registered with.", "Sie wurden nicht zur App zurückgeschickt: Die Adresse, die sie verlangte, ist nicht für sie eingetragen."},
	"out.not_proved":       {"You were not sent back to the app: the request did not prove which app it came from.", "Sie wurden nicht zur App zurückgeschickt: Die Anfrage wies nicht nach, von welcher App sie kam."},
	"out.back":             {"Back to {client}", "Zurück zu {client}"},
	"out.login":            {"Sign in again", "Wieder anmelden"},
	"in.heading":           {"You are signed in", "Sie sind angemeldet"},
	"in.user":              {"as {user}", "als {user}"},
	"in.text":              {"Go back to the app that you came from, or close this page.", "Kehren Sie zu der App zurück, aus der Sie kamen, oder schließen Sie diese Seite."},
	"in.logout":            {"Sign out", "Abmelden"},
	"formpost.heading":     {"One moment…", "Einen Moment …"},
	"formpost.text":        {"You are being sent back to the app.", "Sie werden zur App zurückgeleitet."},
	"formpost.noscript":    {"Your browser does not run scripts, so this needs one more click.", "Ihr Browser führt keine Skripte aus, darum ist noch ein Klick nötig."},
	"formpost.submit":      {"Continue", "Weiter"},
	"error.id":             {"If you ask for help, give this code:", "Wenn Sie um Hilfe bitten, nennen Sie diesen Code:"},
	"consent.claim":        {"see what this service knows about you as {scope}", "sehen, was dieser Dienst unter {scope} über Sie weiß"},
	"scope.openid":         {"know your account id, to recognise you", "Ihre Kontonummer sehen, um Sie wiederzuerkennen"},
	"scope.profile":        {"see your name, picture and other details of your profile", "Ihren Namen, Ihr Bild und weitere Angaben Ihres Profils sehen"},
	"scope.email":          {"see your email address", "Ihre E-Mail-Adresse sehen"},
	"scope.address":        {"see your postal address", "Ihre Postanschrift sehen"},
	"scope.phone":          {"see your phone number", "Ihre Telefonnummer sehen"},
	"scope.offline_access": {"keep this access when you are away, also after you sign out", "diesen Zugriff behalten, wenn Sie nicht da sind, auch nach dem Abmelden"},
	"scope.admin":          {"manage every account of this service", "alle Konten dieses Dienstes verwalten"},
	"scope.other":          {"use the permission {scope}", "die Berechtigung {scope} nutzen"},
}

// say fills the text with values given as name, value, name, value; each is cleaned, escaped and isolated, so that it can
// change neither the sentence around it nor its direction.
func say(l Locale, name string, values ...string) (template.HTML, error) {
	t, ok := texts[name]
	if !ok {
		return "", fmt.Errorf("there is no text %q", name)
	}
	pairs := make([]string, 0, len(values))
	for n := 0; n+1 < len(values); n += 2 {
		pairs = append(pairs, "{"+values[n]+"}", "<bdi>"+template.HTMLEscapeString(values[n+1])+"</bdi>")
	}
	// One pass, so that a value which looks like a placeholder stays what it is.
	out := strings.NewReplacer(pairs...).Replace(template.HTMLEscapeString(t.in(l)))
	return template.HTML(out), nil
}
