package configs

import (
	"fmt"

	"github.com/signet-id/signet/internal/mail"
)

// badSMTP never shows the text: it may hold a password.
func badSMTP(text string) string {
	if text == "" {
		return ""
	}
	if _, err := mail.ParseSMTP(text); err != nil {
		return err.Error()
	}
	return ""
}

func badMailbox(text string) string {
	if text == "" {
		return ""
	}
	if _, err := mail.ParseMailbox(text); err != nil {
		return fmt.Sprintf("%q cannot be used: %s", text, err)
	}
	return ""
}

// badMailPassword refuses a password without a user in mail.smtp, and a user without a password.
func badMailPassword(c Config) string {
	if c.Mail.SMTP == "" {
		if c.Mail.Password != "" {
			return "is the password of the user in mail.smtp, which is not given; give both"
		}
		return ""
	}
	s, err := mail.ParseSMTP(c.Mail.SMTP)
	switch {
	case err != nil: // badSMTP reports it
	case s.User() != "" && c.Mail.Password == "":
		return "is needed with the user in mail.smtp; give it as SIGNET_MAIL_PASSWORD or name its file in SIGNET_MAIL_PASSWORD_FILE"
	case s.User() == "" && c.Mail.Password != "":
		return "is given, but mail.smtp names no user; write smtps://user@host (percent-encode an @ in the user as %40)"
	}
	return ""
}
