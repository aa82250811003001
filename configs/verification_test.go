package configs

import (
	"strings"
	"testing"
)

// What people have to prove follows from where messages go, unless it is given.
func TestEmailVerification(t *testing.T) {
	smtp := []string{"SIGNET_MAIL_SMTP=smtps://mail.example.com", "SIGNET_MAIL_FROM=a@example.com"}
	abroad := []string{"SIGNET_ISSUER=https://id.example.com"}
	given := func(value string, env ...string) []string {
		return append([]string{"SIGNET_ACCOUNTS_EMAIL_VERIFICATION=" + value}, env...)
	}
	for name, c := range map[string]struct {
		env         []string
		want, fault string
	}{
		"nothing is configured":              {nil, "optional", ""},
		"a mail server":                      {smtp, "required", ""},
		"no mail":                            {abroad, "off", ""},
		"optional with a mail server":        {given("optional", smtp...), "optional", ""},
		"off with a mail server":             {given("off", smtp...), "off", ""},
		"required where messages are files":  {given("required"), "required", ""},
		"optional without mail":              {given("optional", abroad...), "optional", ""},
		"required without mail":              {given("required", abroad...), "", "there is no mail to prove an address by"},
		"something else":                     {given("always"), "", "accounts.email_verification"},
		"something else, with a mail server": {given("true", smtp...), "", "accounts.email_verification"},
	} {
		loaded, _, err := Load(Input{File: write(t, ""), Env: c.env})
		switch {
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%s: %v, want %q", name, err, c.fault)
		case c.fault == "" && (err != nil || loaded.EmailVerification() != c.want):
			t.Errorf("%s: %q, want %q; %v", name, loaded.EmailVerification(), c.want, err)
		}
	}
}
