package configs

import (
	"errors"
	"strings"
	"testing"
)

func TestMailFaults(t *testing.T) {
	const password = "planted mail password"
	secret := write(t, password+"\n")
	for name, c := range map[string]struct {
		env  []string
		want string // empty: it is taken
	}{
		"nothing": {nil, ""},
		"a relay without a user": {
			[]string{"SIGNET_MAIL_SMTP=smtp://relay.example.com:25", "SIGNET_MAIL_FROM=a@example.com"}, ""},
		"a provider": {[]string{"SIGNET_MAIL_SMTP=smtps://a%40example.com@mail.example.com",
			"SIGNET_MAIL_FROM=Lantern <a@example.com>", "SIGNET_MAIL_PASSWORD_FILE=" + secret}, ""},
		"who letters are from, alone": {
			[]string{"SIGNET_MAIL_FROM=a@example.com", "SIGNET_MAIL_REPLY_TO=Help <b@example.com>"}, ""},
		"no sender": {[]string{"SIGNET_MAIL_SMTP=smtps://mail.example.com"},
			"mail.from: is needed with mail.smtp"},
		"no sender, for it is wrong": {[]string{"SIGNET_MAIL_SMTP=smtps://mail.example.com",
			"SIGNET_MAIL_FROM=Lantern"}, `mail.from (SIGNET_MAIL_FROM): "Lantern" cannot be used: it is neither an address`},
		"two senders": {[]string{"SIGNET_MAIL_FROM=a@example.com, b@example.com"}, "mail.from"},
		"a header": {[]string{"SIGNET_MAIL_REPLY_TO=a@example.com\r\nBcc: b@example.com"},
			"mail.reply_to"},
		"a password in the address": {[]string{"SIGNET_MAIL_SMTP=smtps://ada:planted mail password@mail.example.com",
			"SIGNET_MAIL_FROM=a@example.com"}, "mail.smtp (SIGNET_MAIL_SMTP): "},
		"an encoded one": {[]string{
			"SIGNET_MAIL_SMTP=smtps://ada:planted%20mail%20password@mail.example.com", "SIGNET_MAIL_FROM=a@example.com"},
			"holds a password; give it as mail.password"},
		"a host alone": {[]string{"SIGNET_MAIL_SMTP=mail.example.com:465",
			"SIGNET_MAIL_FROM=a@example.com"}, "is not the URL of a mail server"},
		"a user without a password": {[]string{"SIGNET_MAIL_SMTP=smtps://ada@mail.example.com",
			"SIGNET_MAIL_FROM=a@example.com"}, "mail.password: is needed with the user in mail.smtp"},
		"a password without a user": {[]string{"SIGNET_MAIL_SMTP=smtps://mail.example.com",
			"SIGNET_MAIL_FROM=a@example.com", "SIGNET_MAIL_PASSWORD=" + password}, "mail.smtp names no user"},
		"a password without a server": {[]string{"SIGNET_MAIL_PASSWORD=" + password}, "which is not given; give both"},
		"a password twice": {[]string{"SIGNET_MAIL_SMTP=smtps://ada@mail.example.com",
			"SIGNET_MAIL_FROM=a@example.com", "SIGNET_MAIL_PASSWORD=" + password, "SIGNET_MAIL_PASSWORD_FILE=" + secret},
			"given together with mail.password"},
		"an empty password": {[]string{"SIGNET_MAIL_PASSWORD="}, "is set to the empty text"},
		"a password file that is none": {[]string{"SIGNET_MAIL_SMTP=smtps://ada@mail.example.com",
			"SIGNET_MAIL_FROM=a@example.com", "SIGNET_MAIL_PASSWORD_FILE=" + secret + "x"}, "mail.password_file"},
		"a misspelt key":                 {[]string{"SIGNET_MAIL_SMPT=smtps://mail.example.com"}, "SIGNET_MAIL_SMTP"},
		"a section that is a text":       {[]string{"SIGNET_MAIL=smtps://mail.example.com"}, "SIGNET_MAIL"},
		"notices of new browsers, files": {[]string{"SIGNET_ACCOUNTS_NOTIFY_NEW_DEVICE=true"}, ""},
		"notices of new browsers, no mail": {[]string{"SIGNET_ACCOUNTS_NOTIFY_NEW_DEVICE=true",
			"SIGNET_ISSUER=https://id.example.com"}, "needs mail; set mail.smtp"},
		"something else than the S of TLS": {[]string{"SIGNET_MAIL_SMTP=smtp+insecure://mail.example.com",
			"SIGNET_MAIL_FROM=a@example.com"}, "is not the URL of a mail server"},
	} {
		loaded, _, err := Load(Input{File: write(t, ""), Env: c.env})
		var faults *Error
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.As(err, &faults) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		shown := ""
		for _, s := range loaded.Settings() {
			shown += s.Text + "\n"
		}
		if err != nil {
			shown += err.Error()
		}
		if strings.Contains(shown, "planted") {
			t.Errorf("%s: the password is shown: %s", name, shown)
		}
	}
}

// Files take the place of mail only where people and server are on one machine, and nothing is
// configured.
func TestWhereMessagesGo(t *testing.T) {
	kek := "SIGNET_KEYS_ENCRYPTION_KEY=" + someKEK
	smtp := []string{"SIGNET_MAIL_SMTP=smtps://mail.example.com", "SIGNET_MAIL_FROM=a@example.com"}
	for name, c := range map[string]struct {
		env       []string
		has, file bool
	}{
		"nothing is configured":   {nil, true, true},
		"another port":            {[]string{"SIGNET_LISTEN=0.0.0.0:80"}, true, true},
		"an issuer at 127.0.0.1":  {[]string{"SIGNET_ISSUER=http://127.0.0.1:8080"}, true, true},
		"a file of another place": {[]string{"SIGNET_DATABASE_URL=/tmp/x.db"}, true, true},
		"a public issuer":         {[]string{"SIGNET_ISSUER=https://id.example.com"}, false, false},
		"PostgreSQL":              {[]string{"SIGNET_DATABASE_URL=postgres://a@b/c", kek}, false, false},
		"a mail server":           {smtp, true, false},
		"a mail server and a public issuer": {
			append([]string{"SIGNET_ISSUER=https://id.example.com"}, smtp...), true, false},
		"a name that begins like localhost":   {[]string{"SIGNET_ISSUER=https://localhost.example.com"}, false, false},
		"an issuer that is an address abroad": {[]string{"SIGNET_ISSUER=https://10.0.0.1"}, false, false},
	} {
		loaded, _, err := Load(Input{File: write(t, ""), Env: c.env})
		if err != nil || loaded.HasMail() != c.has || loaded.MailFiles() != c.file {
			t.Errorf("%s: there is mail: %t, in files: %t; %v", name, loaded.HasMail(), loaded.MailFiles(), err)
		}
	}
}
