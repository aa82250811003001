package configs

import (
	"net/url"
	"path/filepath"
)

// Mail is the section `mail`: how messages reach people. Without `mail.smtp` there is no mail. Only if
// the issuer is on a loopback host and the database is the embedded one, messages are written to files
// in the folder mail of `data_dir`.
type Mail struct {
	// The mail server: smtps://user@host:465 (TLS from the first byte) or smtp://user@host:587
	// (STARTTLS, which must be offered). A server on this machine may do without TLS and without a user.
	// Not given: there is no mail.
	SMTP string `key:"smtp"`

	// The password of the user in `mail.smtp`.
	Password Secret `key:"password"`

	// A file that holds `mail.password`.
	PasswordFile string `key:"password_file"`

	// Whom messages are from: no-reply@example.com, or Example <no-reply@example.com>. Without
	// a name it is `pages.service_name`. Needed with `mail.smtp`.
	From string `key:"from"`

	// Where answers go, if not to `mail.from`.
	ReplyTo string `key:"reply_to"`

	// A folder with texts of your own, such as en.json. Read at the start; docs/operators.md has the form.
	Templates string `key:"templates"`
}

// MailFiles reports whether messages are written to files for trials: no mail server is configured,
// the issuer is on a loopback host, and the database is the embedded one.
func (c Config) MailFiles() bool {
	u, err := url.Parse(c.IssuerURL(""))
	return c.Mail.SMTP == "" && err == nil && isLoopback(u.Hostname()) && !c.IsPostgres()
}

// HasMail reports whether messages are sent or written to files.
func (c Config) HasMail() bool { return c.Mail.SMTP != "" || c.MailFiles() }

// MailFolder returns the folder of the files of MailFiles.
func (c Config) MailFolder() string { return filepath.Join(c.DataDir, "mail") }
