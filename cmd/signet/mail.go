package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/internal/server"
)

// readMailTexts reads the texts of messages, with those of the operator.
func readMailTexts(c configs.Config) (*mail.Texts, error) {
	var own fs.FS
	if c.Mail.Templates != "" {
		own = os.DirFS(c.Mail.Templates)
	}
	texts, err := mail.LoadTexts(own)
	if err == nil || own == nil {
		return texts, err
	}
	var faults []configs.Fault
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the list itself is wanted
		all = joined.Unwrap()
	}
	for _, err := range all {
		faults = append(faults, configs.Fault{Key: "mail.templates", Where: c.Source("mail.templates"), Reason: c.Mail.Templates + ": " + err.Error()})
	}
	return nil, &configs.Error{Faults: faults}
}

// newMail returns the worker that sends messages as configured. bound is as of configs.Config.IssuerURL.
func newMail(c configs.Config, bound string, texts *mail.Texts, f serveFiles) (*mail.Worker, error) {
	if !c.HasMail() {
		return &mail.Worker{Way: mail.Absent}, nil
	}
	issuerURL, err := url.Parse(c.IssuerURL(bound))
	if err != nil {
		return nil, err
	}
	compose := &mail.Composer{Service: c.Service(), Issuer: c.IssuerURL(bound), Texts: texts, Logo: mail.NewPicture(f.logo)}
	from := c.Mail.From
	if from == "" {
		from = "signet@localhost" // into files only: configs demands one with a mail server
	}
	if compose.From, err = mail.ParseMailbox(from); err != nil {
		return nil, fmt.Errorf("mail.from: %w", err)
	}
	if c.Mail.ReplyTo != "" {
		if compose.ReplyTo, err = mail.ParseMailbox(c.Mail.ReplyTo); err != nil {
			return nil, fmt.Errorf("mail.reply_to: %w", err)
		}
	}
	if c.Mail.SMTP == "" {
		return &mail.Worker{Way: &mail.Files{Folder: c.MailFolder()}, Compose: compose}, nil
	}
	way, err := mail.ParseSMTP(c.Mail.SMTP)
	if err != nil {
		return nil, fmt.Errorf("mail.smtp %w", err)
	}
	way.Password, way.Helo = c.Mail.Password.Reveal(), issuerURL.Hostname()
	if len(f.cas) > 0 {
		if way.CAs, err = x509.SystemCertPool(); err != nil {
			way.CAs = x509.NewCertPool() // a system without any: use only those of the file
		}
		way.CAs.AppendCertsFromPEM(plainPEM(f.cas))
	}
	return &mail.Worker{Way: way, Compose: compose}, nil
}

// logMail logs at the start where messages go.
func logMail(mailer *mail.Worker, log *slog.Logger) {
	switch mailer.Way.(type) {
	case *mail.SMTP:
		log.Info("sending mail", "smtp", mail.Where(mailer.Way), "from", mailer.Compose.From.String())
	case *mail.Files:
		log.Info("messages are written to files, for trying things out; to send them set mail.smtp and mail.from", "files", mail.Where(mailer.Way))
	default:
		log.Info("there is no mail, and users get no message about a changed password or address; to send mail set mail.smtp and mail.from")
	}
}

func (a *app) mailCommand() *cobra.Command {
	return group("mail", "Try whether mail can be sent, and see what waits", a.mailTest(), a.mailList())
}

// mailTestWithin is how long the mail server may take.
const mailTestWithin = 30 * time.Second

func (a *app) mailTest() *cobra.Command {
	return &cobra.Command{
		Use:   "test ADDRESS",
		Short: "Send one message now, and say what the mail server answered",
		Long: `Send one message now, as the configuration says, and print what the mail server answered. The
message does not go through the outbox, and nothing is tried again.

With "accepted" the server has the message; whether it arrives, that server decides. See "For
operators" on what makes others believe that the mail is yours: SPF, DKIM and DMARC.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one address")
			}
			if _, err := mail.ParseAddress(args[0]); err != nil {
				return fmt.Errorf("%q cannot be sent to: %w", printable.Text(args[0]), err)
			}
			return nil
		},
		RunE: action(func(ctx context.Context, args []string) error { return a.testMail(ctx, args[0]) }),
	}
}

func (a *app) testMail(ctx context.Context, address string) error {
	c, err := a.load(nil)
	if err != nil {
		return err
	}
	if !c.HasMail() {
		return errors.New("there is no mail; set mail.smtp and mail.from, such as SIGNET_MAIL_SMTP=smtps://user@mail.example.com and SIGNET_MAIL_FROM=no-reply@example.com")
	}
	files, err := readServeFiles(c)
	if err != nil {
		return err
	}
	texts, err := readMailTexts(c)
	if err != nil {
		return err
	}
	mailer, err := newMail(c, "", texts, files)
	if err != nil {
		return err
	}
	letter, err := mailer.Compose.Compose(outbox.Message{ID: server.NewID(), Kind: outbox.Test, To: address, At: a.now()})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, mailTestWithin)
	defer cancel()
	answer, err := mailer.Way.Send(ctx, letter)
	if err != nil {
		return fmt.Errorf("%s did not take the message: %s", mail.Where(mailer.Way), printable.Text(err.Error()))
	}
	if a.asJSON {
		return a.printJSON(struct {
			Way       string `json:"way"`
			MessageID string `json:"message_id"`
			Answer    string `json:"answer"`
		}{mail.Where(mailer.Way), letter.ID.String(), answer})
	}
	said := fmt.Sprintf("%s accepted the message: %s", mail.Where(mailer.Way), answer)
	if c.MailFiles() {
		said = "The message was " + answer
	}
	_, err = fmt.Fprintln(a.out, printable.Text(said))
	return err
}

// waitingMessage is the JSON form of a waiting message.
type waitingMessage struct {
	ID          string  `json:"id"`
	Kind        string  `json:"kind"`
	Address     string  `json:"address"`
	UserID      string  `json:"sub,omitempty"`
	CreatedAt   *string `json:"created_at"`
	EndsAt      *string `json:"ends_at"`
	NextAttempt *string `json:"next_attempt_at"`
	Attempts    int     `json:"attempts"`
	Reason      string  `json:"reason,omitempty"`
}

func (a *app) mailList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the messages that wait, and why",
		Long: `List the messages that wait to be sent, the oldest first: what each is about, for whom, how often it
was tried, when it is tried again and why it failed; with --wide also since when it waits, and when it is
given up. Never their content.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			_, db, err := a.store(ctx)
			if err != nil {
				return err
			}
			defer db.Close()
			list := func(yield func([]outbox.Waiting) error) error {
				return pages(0, func(after *outbox.Waiting, size int) ([]outbox.Waiting, error) {
					if after == nil {
						return db.ListMessages(ctx, nil, size)
					}
					return db.ListMessages(ctx, &after.Message, size)
				}, yield)
			}
			if a.asJSON {
				return listJSON(a, list, func(w outbox.Waiting) any {
					return waitingMessage{w.ID, string(w.Kind), w.To, w.UserID, rfc3339(w.At), rfc3339(w.EndsAt), rfc3339(w.DueAt), w.Attempts, w.Reason}
				})
			}
			header := append(a.columnsOf("MESSAGE", "TO", "TRIED", "NEXT").and("SINCE", "GIVEN UP"), "WHY")
			return listTable(a, a.list(0, 3), header, list, func(w outbox.Waiting) []string {
				next := "at once"
				if !w.DueAt.IsZero() {
					next = readable.Instant(w.DueAt)
				}
				row := a.columnsOf(string(w.Kind), w.To, strconv.Itoa(w.Attempts), next).and(readable.Instant(w.At), readable.Instant(w.EndsAt))
				return append(row, dash(w.Reason))
			}, "No message waits.")
		}),
	}
	a.wideFlag(cmd)
	return cmd
}
