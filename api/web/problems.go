package web

import (
	"strconv"
	"strings"
)

// trouble is what an error page says: what happened, and what to do.
type trouble struct{ heading, advice text }

// troubles are the error pages, by the stable code that the API has for the same thing. What is not here is said by the one
// without a name.
var troubles = map[string]trouble{
	"": {
		text{"Something went wrong", "Etwas ist schiefgegangen"},
		text{"Go back to the app and try again.", "Gehen Sie zurück zur App und versuchen Sie es noch einmal."},
	},
	"invalid_request": {
		text{"This request is not complete", "Diese Anfrage ist nicht vollständig"},
		text{"The app sent something that cannot be understood. Go back to the app and start again; if that does not help, tell its makers.",
			"Die App hat etwas gesendet, das nicht zu verstehen ist. Gehen Sie zurück zur App und beginnen Sie von vorn; wenn das nicht hilft, sagen Sie es ihren Herstellern."},
	},
	"invalid_client": {
		text{"This app is not known here", "Diese App ist hier nicht bekannt"},
		text{"It is not registered, or it has been switched off. Ask the makers of the app.",
			"Sie ist nicht registriert oder wurde abgeschaltet. Fragen Sie die Hersteller der App."},
	},
	"unauthorized_client": {
		text{"This app may not do that", "Diese App darf das nicht"},
		text{"It is not registered for what it asks. Tell the makers of the app.",
			"Sie ist für das, worum sie bittet, nicht registriert. Sagen Sie es den Herstellern der App."},
	},
	"invalid_redirect_uri": {
		text{"This app named a wrong address", "Diese App hat eine falsche Adresse genannt"},
		text{"You were not sent there, because the address is not registered for the app. Tell the makers of the app.",
			"Sie wurden nicht dorthin geleitet, weil die Adresse für die App nicht registriert ist. Sagen Sie es den Herstellern der App."},
	},
	"invalid_scope": {
		text{"This app asks for too much", "Diese App verlangt zu viel"},
		text{"It asks for something that it may not have. Tell the makers of the app.",
			"Sie bittet um etwas, das sie nicht haben darf. Sagen Sie es den Herstellern der App."},
	},
	"invalid_target": {
		text{"This app asks for something unknown", "Diese App bittet um etwas Unbekanntes"},
		text{"It names a service that it may not use. Tell the makers of the app.",
			"Sie nennt einen Dienst, den sie nicht nutzen darf. Sagen Sie es den Herstellern der App."},
	},
	"request_expired": {
		text{"This took too long", "Das hat zu lange gedauert"},
		text{"The page was open for too long. Go back to the app and start again; nothing was changed.",
			"Die Seite war zu lange offen. Gehen Sie zurück zur App und beginnen Sie von vorn; es wurde nichts geändert."},
	},
	"request_finished": {
		text{"This is done already", "Das ist schon erledigt"},
		text{"This sign-in was finished before. Go back to the app; if you are not signed in there, start again.",
			"Diese Anmeldung war schon abgeschlossen. Gehen Sie zurück zur App; wenn Sie dort nicht angemeldet sind, beginnen Sie von vorn."},
	},
	"other_browser": {
		text{"This was begun in another browser", "Das wurde in einem anderen Browser begonnen"},
		text{"To protect your account, a sign-in ends in the browser it began in. Start again from the app. If somebody sent you this link, do not go on.",
			"Zum Schutz Ihres Kontos endet eine Anmeldung in dem Browser, in dem sie begonnen hat. Beginnen Sie in der App von vorn. Wenn Ihnen jemand diesen Link geschickt hat, fahren Sie nicht fort."},
	},
	"csrf": {
		text{"This form was not sent from here", "Dieses Formular kam nicht von hier"},
		text{"To protect your account, nothing was done. Go back, load the page again and send it once more; cookies have to be allowed.",
			"Zum Schutz Ihres Kontos ist nichts geschehen. Gehen Sie zurück, laden Sie die Seite neu und senden Sie das Formular noch einmal; Cookies müssen erlaubt sein."},
	},
	"account_disabled": {
		text{"Your account is switched off", "Ihr Konto ist abgeschaltet"},
		text{"Ask an administrator of the service to switch it on again.",
			"Bitten Sie die Verwaltung des Dienstes, es wieder einzuschalten."},
	},
	"signup_closed": {
		text{"New accounts are not open to everybody", "Neue Konten gibt es nicht für alle"},
		text{"Ask an administrator of the service for an account.",
			"Bitten Sie die Verwaltung des Dienstes um ein Konto."},
	},
	"login_closed": {
		text{"Signing in is not possible here", "Eine Anmeldung ist hier nicht möglich"},
		text{"Ask an administrator of the service.", "Fragen Sie die Verwaltung des Dienstes."},
	},
	"not_found": {
		text{"There is nothing here", "Hier ist nichts"},
		text{"Check the address, or go back to where you came from.",
			"Prüfen Sie die Adresse oder gehen Sie zurück, woher Sie kamen."},
	},
	"method_not_allowed": {
		text{"This page works differently", "Diese Seite funktioniert anders"},
		text{"Go back to the app and start again.", "Gehen Sie zurück zur App und beginnen Sie von vorn."},
	},
	"conflict": {
		text{"Something changed meanwhile", "Inzwischen hat sich etwas geändert"},
		text{"Go back to the app and start again.", "Gehen Sie zurück zur App und beginnen Sie von vorn."},
	},
	"body_too_large": {
		text{"That was too much", "Das war zu viel"},
		text{"Go back, and send something shorter.", "Gehen Sie zurück und senden Sie etwas Kürzeres."},
	},
	"unsupported_media_type": {
		text{"This request is not complete", "Diese Anfrage ist nicht vollständig"},
		text{"Go back to the app and start again.", "Gehen Sie zurück zur App und beginnen Sie von vorn."},
	},
	"rate_limited": {
		text{"Too many attempts", "Zu viele Versuche"},
		text{"Wait some minutes, then go back to the app and try again.",
			"Warten Sie einige Minuten, gehen Sie dann zurück zur App und versuchen Sie es noch einmal."},
	},
	"server_error": {
		text{"Something went wrong on our side", "Bei uns ist etwas schiefgegangen"},
		text{"Try again. If it happens again, ask an administrator of the service.",
			"Versuchen Sie es noch einmal. Wenn es wieder geschieht, fragen Sie die Verwaltung des Dienstes."},
	},
	"temporarily_unavailable": {
		text{"Not available at the moment", "Gerade nicht erreichbar"},
		text{"Try again in a minute: go back, or load this page again.",
			"Versuchen Sie es in einer Minute noch einmal: Gehen Sie zurück oder laden Sie die Seite neu."},
	},
	"overloaded": {
		text{"Too busy at the moment", "Gerade zu viel los"},
		text{"Try again in a minute: go back, or load this page again.",
			"Versuchen Sie es in einer Minute noch einmal: Gehen Sie zurück oder laden Sie die Seite neu."},
	},
}

// complaints are what a form says, by code, or by field and code where the field says it better. What is not here is said as
// of an unknown field problem.
var complaints = map[string]text{
	"": {"This was not accepted. Check it, and try again.", "Das wurde nicht angenommen. Prüfen Sie es und versuchen Sie es noch einmal."},

	"invalid_credentials": {"The name or the password is wrong. Check both, also capitals.",
		"Der Name oder das Passwort ist falsch. Prüfen Sie beides, auch die Großschreibung."},
	"wrong_password":   {"The password is wrong. Check it, also capitals.", "Das Passwort ist falsch. Prüfen Sie es, auch die Großschreibung."},
	"account_disabled": {"This account is switched off. Ask an administrator of the service.", "Dieses Konto ist abgeschaltet. Fragen Sie die Verwaltung des Dienstes."},
	"user_already_exists": {"There is an account like this already. Sign in, or use another email address.",
		"Ein solches Konto gibt es schon. Melden Sie sich an oder verwenden Sie eine andere E-Mail-Adresse."},
	"other_user": {"The app asks for another account. Sign in with that one.",
		"Die App verlangt ein anderes Konto. Melden Sie sich mit jenem an."},

	"rate_limited":     {"Too many attempts. Wait {minutes} minutes, then try again.", "Zu viele Versuche. Warten Sie {minutes} Minuten und versuchen Sie es dann noch einmal."},
	"rate_limited.one": {"Too many attempts. Wait a minute, then try again.", "Zu viele Versuche. Warten Sie eine Minute und versuchen Sie es dann noch einmal."},

	"server_error": {"Something went wrong on our side. Try again.", "Bei uns ist etwas schiefgegangen. Versuchen Sie es noch einmal."},
	"temporarily_unavailable": {"This does not work at the moment. Try again in a minute.",
		"Das geht gerade nicht. Versuchen Sie es in einer Minute noch einmal."},
	"overloaded": {"Too many people want in at the moment. Try again in a minute.",
		"Gerade wollen zu viele herein. Versuchen Sie es in einer Minute noch einmal."},
	"csrf": {"The form was open for too long, or cookies are not allowed. Send it once more.",
		"Das Formular war zu lange offen, oder Cookies sind nicht erlaubt. Senden Sie es noch einmal."},

	"required":    {"This is needed.", "Das wird gebraucht."},
	"too_short":   {"This is too short.", "Das ist zu kurz."},
	"too_long":    {"This is too long.", "Das ist zu lang."},
	"invalid":     {"This cannot be right. Check it.", "Das kann nicht stimmen. Prüfen Sie es."},
	"not_allowed": {"This is not possible here.", "Das ist hier nicht möglich."},
	"taken":       {"Somebody has this already. Choose another.", "Das hat schon jemand. Wählen Sie etwas anderes."},

	"name.required":  {"Enter your email address or username.", "Geben Sie Ihre E-Mail-Adresse oder Ihren Benutzernamen ein."},
	"email.required": {"Enter your email address.", "Geben Sie Ihre E-Mail-Adresse ein."},
	"email.invalid":  {"Enter an email address like name@example.com.", "Geben Sie eine E-Mail-Adresse ein wie name@example.com."},
	"email.too_long": {"An email address is not as long as this.", "So lang ist keine E-Mail-Adresse."},
	"email.taken": {"There is an account with this email address. Sign in, or use another one.",
		"Mit dieser E-Mail-Adresse gibt es ein Konto. Melden Sie sich an oder verwenden Sie eine andere."},
	"username.invalid": {"A username has letters, digits and . _ - only.", "Ein Benutzername hat nur Buchstaben, Ziffern und . _ -"},
	"username.not_allowed": {"This looks like the number of an account. Choose a name that does not.",
		"Das sieht wie die Nummer eines Kontos aus. Wählen Sie einen Namen, der nicht so aussieht."},
	"username.taken": {"Somebody has this username already. Choose another.", "Diesen Benutzernamen hat schon jemand. Wählen Sie einen anderen."},

	"password.required":     {"Enter a password.", "Geben Sie ein Passwort ein."},
	"password.too_short":    {"The password is too short. A few words in a row are fine.", "Das Passwort ist zu kurz. Ein paar Wörter hintereinander sind gut."},
	"password.too_long":     {"The password is too long.", "Das Passwort ist zu lang."},
	"password.invalid":      {"The password holds a character that cannot be used. Choose another.", "Das Passwort enthält ein Zeichen, das nicht geht. Wählen Sie ein anderes."},
	"password.too_common":   {"This password is one of the first that anybody would guess. Choose another; a few words in a row are fine.", "Dieses Passwort würde man als eines der ersten raten. Wählen Sie ein anderes; ein paar Wörter hintereinander sind gut."},
	"password.too_simple":   {"This is a repetition or a sequence, which is guessed first. Choose another; a few words in a row are fine.", "Das ist eine Wiederholung oder eine Folge, die zuerst geraten wird. Wählen Sie ein anderes; ein paar Wörter hintereinander sind gut."},
	"password.own_name":     {"The password is made of your own name. Choose another.", "Das Passwort besteht aus Ihrem eigenen Namen. Wählen Sie ein anderes."},
	"password.service_name": {"The password is made of the name of this service. Choose another.", "Das Passwort besteht aus dem Namen dieses Dienstes. Wählen Sie ein anderes."},
	"password.breached":     {"This password is known from a breach elsewhere. Choose another, and change it wherever else you use it.", "Dieses Passwort ist aus einem Datenleck anderswo bekannt. Wählen Sie ein anderes und ändern Sie es überall, wo Sie es noch verwenden."},
}

// complaint is the sentence for a problem with a field ("": the form as a whole).
func complaint(l Locale, field string, p Problem) string {
	if p.Code == "rate_limited" {
		if minutes := (p.Seconds + 59) / 60; minutes > 1 {
			return strings.ReplaceAll(complaints["rate_limited"].in(l), "{minutes}", strconv.Itoa(minutes))
		}
		return complaints["rate_limited.one"].in(l)
	}
	for _, name := range []string{field + "." + p.Code, p.Code, ""} {
		if t, ok := complaints[name]; ok {
			return t.in(l)
		}
	}
	panic("unreachable: the empty name is there")
}
