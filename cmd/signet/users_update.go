package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// claimFlags are the flags for the claims of a profile, for create and update. A postal address is
// not among them: it has several lines, and is set by import or over the API.
var claimFlags = []struct {
	name, usage string
	of          func(*userstore.Claims) *string
}{
	{"name", "full `NAME`, as it is shown", func(c *userstore.Claims) *string { return &c.Name }},
	{"given-name", "given `NAME`", func(c *userstore.Claims) *string { return &c.GivenName }},
	{"family-name", "family `NAME`", func(c *userstore.Claims) *string { return &c.FamilyName }},
	{"middle-name", "middle `NAME`", func(c *userstore.Claims) *string { return &c.MiddleName }},
	{"nickname", "`NAME` among friends", func(c *userstore.Claims) *string { return &c.Nickname }},
	{"profile", "`URL` of a page about the person", func(c *userstore.Claims) *string { return &c.Profile }},
	{"picture", "`URL` of a picture", func(c *userstore.Claims) *string { return &c.Picture }},
	{"website", "`URL` of a website", func(c *userstore.Claims) *string { return &c.Website }},
	{"gender", "`GENDER`, in any words", func(c *userstore.Claims) *string { return &c.Gender }},
	{"birthdate", "`date` of birth: 2001-02-03, 0000-02-03 or 2001", func(c *userstore.Claims) *string { return &c.Birthdate }},
	{"zoneinfo", "time `zone`, such as Europe/Paris", func(c *userstore.Claims) *string { return &c.Zoneinfo }},
	{"locale", "`language` tag, such as de-CH", func(c *userstore.Claims) *string { return &c.Locale }},
	{"phone-number", "phone `number`, such as +14255551212", func(c *userstore.Claims) *string { return &c.PhoneNumber }},
}

// usersUpdate changes only the fields whose flags are set, like a merge patch of the admin API.
func (a *app) usersUpdate() *cobra.Command {
	var email, username string
	var claims userstore.Claims
	var staff, noStaff, verified, notVerified bool
	cmd := &cobra.Command{
		Use:   "update USER",
		Short: "Change an account's profile",
		Long: `Change an account's profile: what a flag names, and nothing else. ` + userHelp + `

An empty value takes away what is there. A new email address is not verified unless
--email-verified says so. Roles, the password and activity have commands of their own.`,
		Args: oneUser,
	}
	f := cmd.Flags()
	f.StringVar(&email, "email", "", "email `address`; unique")
	f.StringVar(&username, "username", "", "`NAME` to sign in with; unique; empty: none")
	for _, c := range claimFlags {
		f.StringVar(c.of(&claims), c.name, "", c.usage)
	}
	f.BoolVar(&staff, "staff", false, "set is_staff, a profile flag without authority")
	f.BoolVar(&noStaff, "no-staff", false, "take is_staff away")
	f.BoolVar(&verified, "email-verified", false, "declare the email address verified")
	f.BoolVar(&notVerified, "no-email-verified", false, "declare it not verified")
	var own []string // without --json and --config, which do not describe the account
	f.VisitAll(func(flag *pflag.Flag) { own = append(own, flag.Name) })

	cmd.RunE = action(func(ctx context.Context, args []string) error {
		switch {
		case !slices.ContainsFunc(own, f.Changed):
			return misusef("say what to change, such as --email ADDRESS")
		case staff && noStaff:
			return misusef("give --staff or --no-staff")
		case verified && notVerified:
			return misusef("give --email-verified or --no-email-verified")
		}
		return a.withUser(ctx, args[0], func(accounts *userstore.Accounts, _ *sqlstore.DB, u userstore.User) error {
			u, err := accounts.EditByOperator(ctx, u.ID, func(u *userstore.User) error {
				if f.Changed("email") {
					u.Email = email
				}
				if f.Changed("username") {
					u.Username = username
				}
				for _, c := range claimFlags {
					if f.Changed(c.name) {
						*c.of(&u.Claims) = *c.of(&claims)
					}
				}
				u.IsStaff = (u.IsStaff || staff) && !noStaff
				u.EmailVerified = (u.EmailVerified || verified) && !notVerified
				return nil
			})
			if err != nil {
				return explainUser(err)
			}
			return a.showUser(ctx, accounts, u)
		})
	})
	return cmd
}
