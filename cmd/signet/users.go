package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/cmd/signet/internal/terminal"
	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// adminRole is the role of users who may be granted the scope admin.
const adminRole = "admin"

func (a *app) usersCommand() *cobra.Command {
	return group("users", "Make, show and change accounts",
		a.usersCreate(), a.usersList(), a.usersShow(), a.usersUpdate(), a.usersInvite(), a.usersVerifyEmail(),
		a.usersActive("disable", "Refuse an account and end its sessions at once", false),
		a.usersActive("enable", "Let a disabled account log in again", true),
		a.usersDelete(), a.usersSetPassword(), a.usersSessions(), a.usersRevokeSessions(),
		a.usersFactors(), a.usersRemoveFactors(),
		a.usersRole("grant-role", "Give a user a role", true),
		a.usersRole("revoke-role", "Take a role from a user", false),
		a.usersImport(), a.usersExport(),
	)
}

// userHelp explains the argument USER.
const userHelp = "USER is an email address, a username, an id, or the sub by which a pairwise client knows the user."

func (a *app) usersCreate() *cobra.Command {
	var n userstore.OperatorUser
	var admin bool
	var passwordFile string
	cmd := &cobra.Command{
		Use:   "create --email EMAIL",
		Short: "Make an account, also when sign-up is closed",
		Long: `Make an account, also when sign-up is closed.

The password is asked for on a terminal, or read from a file or standard input with
--password-file; it is never an argument, which other users of the machine could see.
With --invite there is none: the user is sent a message to set one.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, _ []string) error {
			switch {
			case n.Email == "":
				return misusef("an account needs --email")
			case n.Invite && passwordFile != "":
				return misusef("give --invite or --password-file; an invited user chooses the password")
			}
			return a.withAccounts(ctx, func(accounts *userstore.Accounts, _ *sqlstore.DB) error {
				if admin && !slices.Contains(n.Roles, adminRole) {
					n.Roles = append(n.Roles, adminRole)
				}
				switch {
				case n.Invite && accounts.NoMail:
					return errNoMail
				case !n.Invite:
					var err error
					if n.Password, err = a.readPassword(passwordFile); err != nil {
						return err
					}
				}
				u, err := accounts.RegisterByOperator(ctx, n)
				if err != nil {
					return explainUser(err)
				}
				return a.showUser(ctx, accounts, u)
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&n.Email, "email", "", "email `address`; unique")
	f.StringVar(&n.Username, "username", "", "`NAME` to sign in with; unique; optional")
	for _, c := range claimFlags {
		f.StringVar(c.of(&n.Claims), c.name, "", c.usage)
	}
	f.StringArrayVar(&n.Roles, "role", nil, "a `ROLE`; may be repeated")
	f.BoolVar(&admin, "admin", false, "give the role admin")
	f.BoolVar(&n.IsStaff, "staff", false, "set is_staff, a profile flag without authority")
	f.BoolVar(&n.EmailVerified, "email-verified", false, "declare the email address verified")
	f.StringVar(&passwordFile, "password-file", "", "read the password from this `file`; - is standard input")
	f.BoolVar(&n.Invite, "invite", false, "send the user a message to set the password")
	return cmd
}

func (a *app) usersShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show USER",
		Short: "Show one account",
		Long:  "Show one account. " + userHelp,
		Args:  oneUser,
		RunE: action(func(ctx context.Context, args []string) error {
			return a.withUser(ctx, args[0], func(accounts *userstore.Accounts, _ *sqlstore.DB, u userstore.User) error {
				return a.showUser(ctx, accounts, u)
			})
		}),
	}
}

func (a *app) usersActive(name, short string, active bool) *cobra.Command {
	return &cobra.Command{
		Use:   name + " USER",
		Short: short,
		Long:  short + ". " + userHelp,
		Args:  oneUser,
		RunE: action(func(ctx context.Context, args []string) error {
			return a.withUser(ctx, args[0], func(accounts *userstore.Accounts, _ *sqlstore.DB, u userstore.User) error {
				if err := accounts.SetActive(ctx, u.ID, active); err != nil {
					return explainUser(err)
				}
				return a.showChanged(ctx, accounts, u.ID, map[bool]string{
					true:  "%s may log in again.",
					false: "%s is disabled and signed out everywhere. " + tokensRemain,
				}[active])
			})
		}),
	}
}

func (a *app) usersSetPassword() *cobra.Command {
	var passwordFile string
	cmd := &cobra.Command{
		Use:   "set-password USER",
		Short: "Set a user's password and end their sessions",
		Long: `Set a user's password and end their sessions. ` + userHelp + `

The password is asked for on a terminal, or read from a file or standard input with
--password-file.`,
		Args: oneUser,
		RunE: action(func(ctx context.Context, args []string) error {
			return a.withUser(ctx, args[0], func(accounts *userstore.Accounts, _ *sqlstore.DB, u userstore.User) error {
				password, err := a.readPassword(passwordFile)
				if err != nil {
					return err
				}
				if err := accounts.SetPassword(ctx, u.ID, password); err != nil {
					return explainUser(err)
				}
				return a.showChanged(ctx, accounts, u.ID, "%s has a new password and is signed out everywhere.")
			})
		}),
	}
	cmd.Flags().StringVar(&passwordFile, "password-file", "", "read the password from this `file`; - is standard input")
	return cmd
}

func (a *app) usersRole(name, short string, grant bool) *cobra.Command {
	return &cobra.Command{
		Use:   name + " USER ROLE",
		Short: short,
		Long: short + ". " + userHelp + `

The role is in access tokens from the next refresh on. The role admin is Signet's own.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("name one user and one role")
			}
			return nil
		},
		RunE: action(func(ctx context.Context, args []string) error {
			role := args[1]
			return a.withUser(ctx, args[0], func(accounts *userstore.Accounts, _ *sqlstore.DB, u userstore.User) error {
				_, err := accounts.EditByOperator(ctx, u.ID, func(u *userstore.User) error {
					u.Roles = slices.DeleteFunc(u.Roles, func(r string) bool { return r == role })
					if grant {
						u.Roles = append(u.Roles, role)
					}
					return nil
				})
				if err != nil {
					return explainUser(err)
				}
				return a.showChanged(ctx, accounts, u.ID, map[bool]string{true: "%s has the role ", false: "%s does not have the role "}[grant]+
					strings.ReplaceAll(role, "%", "%%")+" now.")
			})
		}),
	}
}

func oneUser(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one user, by email address, username or id")
	}
	return nil
}

// withAccounts runs fn with the accounts of the configured store.
func (a *app) withAccounts(ctx context.Context, fn func(*userstore.Accounts, *sqlstore.DB) error) error {
	c, db, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	accounts := accountSettings(c, "")
	accounts.Store, accounts.Hasher, accounts.Now, accounts.NewID = db, newHasher(c, 1), a.now, server.NewID
	return fn(accounts, db)
}

func (a *app) withUser(ctx context.Context, name string, fn func(*userstore.Accounts, *sqlstore.DB, userstore.User) error) error {
	return a.withAccounts(ctx, func(accounts *userstore.Accounts, db *sqlstore.DB) error {
		u, err := accounts.Find(ctx, name)
		if errors.Is(err, userstore.ErrNotFound) {
			return fmt.Errorf("there is no user %q; `signet users list` shows those there are", printable.Text(name))
		}
		if err != nil {
			return err
		}
		return fn(accounts, db, u)
	})
}

// showChanged prints what was done to a user; for programs it prints the account as it is now.
func (a *app) showChanged(ctx context.Context, accounts *userstore.Accounts, id, text string) error {
	u, err := accounts.Store.UserByID(ctx, id)
	if err != nil {
		return err
	}
	if a.asJSON {
		invited, err := invitationsOf(ctx, accounts, u)
		if err != nil {
			return err
		}
		return a.printJSON(invited.document(u))
	}
	_, err = fmt.Fprintln(a.out, printable.Text(fmt.Sprintf(text, u.Email)))
	return err
}

// explainUser turns an error of package userstore into one sentence.
func explainUser(err error) error {
	var invalid *userstore.ValidationError
	var exists *userstore.ExistsError
	switch {
	case errors.As(err, &invalid):
		return refusedFields(invalid, func(field string) string { return field }, "password")
	case errors.As(err, &exists):
		return fmt.Errorf("there is an account with this %s already; `signet users show` shows it", exists.Field)
	case errors.Is(err, userstore.ErrLastAdmin):
		return errors.New("this is the last admin who may log in, and without one nobody could use the admin API; make another one first with `signet users grant-role USER admin`")
	}
	return err
}

// userDocument is an account for programs, with the names of the account API.
type userDocument struct {
	Subject       string `json:"sub"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	Username      string `json:"preferred_username,omitempty"`
	userstore.Claims
	IsActive    bool     `json:"is_active"`
	IsStaff     bool     `json:"is_staff"`
	Roles       []string `json:"roles"`
	HasPassword bool     `json:"has_password"`
	// SecondFactor says that there is an authenticator app or a passkey.
	SecondFactor bool `json:"second_factor"`
	// InvitedUntil is absent if there is no open invitation.
	InvitedUntil *string `json:"invited_until,omitempty"`
	CreatedAt    *string `json:"created_at"`
	UpdatedAt    *string `json:"updated_at"`
	LastLoginAt  *string `json:"last_login_at"`
}

func document(u userstore.User) userDocument {
	roles := u.Roles
	if roles == nil {
		roles = []string{}
	}
	return userDocument{
		Subject: u.ID, Email: u.Email, EmailVerified: u.EmailVerified, Username: u.Username, Claims: u.Claims.WithComposedName(),
		IsActive: u.IsActive, IsStaff: u.IsStaff, Roles: roles, HasPassword: u.PasswordHash != "",
		SecondFactor: u.SecondFactor,
		CreatedAt:    rfc3339(u.CreatedAt), UpdatedAt: rfc3339(u.UpdatedAt), LastLoginAt: rfc3339(u.LastLoginAt),
	}
}

func (a *app) showUser(ctx context.Context, accounts *userstore.Accounts, u userstore.User) error {
	invited, err := invitationsOf(ctx, accounts, u)
	if err != nil {
		return err
	}
	if a.asJSON {
		return a.printJSON(invited.document(u))
	}
	verified := "not verified"
	if u.EmailVerified {
		verified = "verified"
	}
	return a.table(nil, [][]string{
		{"id", u.ID},
		{"email", u.Email + " (" + verified + ")"},
		{"username", dash(u.Username)},
		{"name", dash(u.Claims.WithComposedName().Name)},
		{"state", state(u)},
		{"roles", dash(strings.Join(u.Roles, ", "))},
		{"staff", map[bool]string{true: "yes", false: "no"}[u.IsStaff]},
		{"password", invited.password(u)},
		{"second factor", map[bool]string{true: "set up", false: "none"}[u.SecondFactor]},
		{"created", readable.Instant(u.CreatedAt)},
		{"changed", readable.Instant(u.UpdatedAt)},
		{"last login", readable.Instant(u.LastLoginAt)},
	})
}

func state(u userstore.User) string {
	if u.IsActive {
		return "active"
	}
	return "disabled"
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// maxPasswordFile is far above the longest password; a larger file is the wrong file.
const maxPasswordFile = 16 << 10

// readPassword reads a new password from a file, standard input or the terminal.
func (a *app) readPassword(file string) (string, error) {
	if file == "" {
		text, err := terminal.AskPassword(a.in, a.err)
		if errors.Is(err, terminal.ErrNone) {
			return "", misusef("there is no terminal to ask for the password; give --password-file FILE, or --password-file - for standard input")
		}
		return text, err
	}
	return a.readSecretLine(file, "password")
}

// readSecretLine reads a file that holds a secret of the named kind and nothing else.
func (a *app) readSecretLine(file, kind string) (string, error) {
	text, err := a.readInput(file, maxPasswordFile)
	if err != nil {
		return "", err
	}
	// Editors and programs add newlines at the end, which are no part of the secret; configs cuts them off
	// as well.
	secret := strings.TrimRight(string(text), "\r\n")
	if strings.ContainsAny(secret, "\r\n") {
		return "", fmt.Errorf("the %[1]s file has more than one line; keep the %[1]s alone in it", kind)
	}
	return secret, nil
}

// readInput reads a file, or standard input for "-".
func (a *app) readInput(name string, limit int64) ([]byte, error) {
	in := a.in
	if name != "-" {
		f, err := openFile(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		if name == "-" {
			name = "what came on standard input"
		}
		return nil, fmt.Errorf("%s is larger than %d bytes; name the right file", name, limit)
	}
	if text, err = configs.WithoutBOM(text); err != nil {
		return nil, fmt.Errorf("the file cannot be used: %w", err)
	}
	return text, nil
}
