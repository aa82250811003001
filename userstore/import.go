package userstore

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"

	"github.com/signet-id/signet/userstore/password"
)

// Importer creates accounts from another system or an export. Use it from one goroutine.
type Importer struct {
	Accounts *Accounts
	DryRun   bool // report what would happen and store nothing
	Strict   bool // refuse an account whose username is not allowed, instead of dropping the username

	// seen holds the accounts of a dry run by the names that they would have.
	seen map[string]User
}

// Imported is the result for one account.
type Imported struct {
	User    User  // as it is stored; in a dry run as it would be
	Existed bool  // an account of the same names was there already; nothing was changed
	Err     error // *ValidationError or *ExistsError: the account was refused

	// UsernameFault says why the username was dropped; empty: it was not.
	UsernameFault string
}

// Import stores a batch of accounts in one transaction, with the second factors that factors has by
// the index of their account. An account that was there already keeps the factors that it has, or
// that it has none. An account without an id gets one; an account without a time of creation was created now. Import takes only password hashes, of any
// form that Hasher.Accept knows; Django's mark of an unusable password means no password. Values
// that users choose meet the same rules as at sign-up; that another system verified them is
// believed. A second factor is imported under any policy, and beside an address that is not proved:
// without the factor the password alone would open the account.
//
// The error is the store's: then either nothing of the batch or all of it was stored, and the same
// batch can be imported again.
func (i *Importer) Import(
	ctx context.Context, batch []User, factors map[int]ImportedFactors,
) ([]Imported, error) {
	done := make([]Imported, len(batch))
	var fit []User
	first := map[int]FirstFactors{}
	var at []int
	for n, u := range batch {
		if f := unusableUsername(u.Username); f != (Fault{}) && !i.Strict {
			u.Username, done[n].UsernameFault = "", f.Message
		}
		done[n].User, done[n].Err = i.Accounts.accountFrom(u)
		if done[n].Err == nil {
			done[n].Err = factors[n].check()
		}
		if done[n].Err != nil {
			continue
		}
		if factors[n].TOTP != nil {
			sealed, err := i.Accounts.sealImported(done[n].User.ID, factors[n])
			if err != nil {
				return nil, err
			}
			first[len(fit)] = sealed
			done[n].User.SecondFactor, done[n].User.FactorVersion = true, 1
			done[n].User.FactorsVouched = !done[n].User.EmailVerified
		}
		fit, at = append(fit, done[n].User), append(at, n)
	}
	taken, err := i.store(ctx, fit, first)
	if err != nil {
		return nil, err
	}
	for m, holder := range taken {
		n := at[m]
		u, wantedID := &done[n], batch[n].ID
		switch {
		case holder.EmailKey == u.User.EmailKey && (u.UsernameFault != "" || holder.UsernameKey == u.User.UsernameKey) &&
			(wantedID == "" || wantedID == holder.ID):
			u.User, u.Existed = holder, true
		case wantedID != "" && wantedID == holder.ID:
			u.Err = &ExistsError{Field: "id"}
		case holder.EmailKey == u.User.EmailKey:
			u.Err = &ExistsError{Field: "email"}
		default:
			u.Err = &ExistsError{Field: "username"}
		}
	}
	return done, nil
}

func (i *Importer) store(ctx context.Context, users []User, first map[int]FirstFactors) (map[int]User, error) {
	if !i.DryRun {
		events := make([]audit.Event, len(users))
		now := i.Accounts.now()
		for n, u := range users {
			events[n] = audit.New(ctx, now, audit.UserImported, audit.User(u.ID))
			events[n].Changes = privileges(u)
			if f, ok := first[n]; ok {
				events[n].Changes = append(events[n].Changes, audit.Change{Field: MethodApp, After: f.App.ID})
			}
		}
		var taken map[int]User
		err := Retry(ctx, ActTries, "import accounts", func() (err error) {
			taken, err = i.Accounts.Store.CreateUsers(ctx, users, first, events...)
			return err
		})
		for n, e := range events {
			if _, ok := taken[n]; err == nil && !ok {
				e.Log(ctx, i.Accounts.Log)
			}
		}
		return taken, err
	}
	taken, err := i.Accounts.Store.UsersLike(ctx, users)
	if err != nil {
		return nil, err
	}
	if i.seen == nil {
		i.seen = map[string]User{}
	}
	for n, u := range users {
		names := []string{"id " + u.ID, "email " + u.EmailKey}
		if u.UsernameKey != "" {
			names = append(names, "username "+u.UsernameKey)
		}
		for _, name := range names {
			if _, ok := taken[n]; ok {
				break
			}
			if holder, ok := i.seen[name]; ok {
				taken[n] = holder
			}
		}
		if _, ok := taken[n]; !ok {
			for _, name := range names {
				i.seen[name] = User{ID: u.ID, EmailKey: u.EmailKey, UsernameKey: u.UsernameKey, SecondFactor: u.SecondFactor}
			}
		}
	}
	return taken, nil
}

// importedID is the form of an id that another system may have assigned: one of ours, or a UUID. It
// is long enough not to be guessed, and no name that a person could log in by.
var importedID = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)

// unusableUsername returns what is wrong with a username of another system.
func unusableUsername(name string) Fault {
	if name == "" {
		return Fault{}
	}
	display, key, f := canonicalUsername(name)
	if f == (Fault{}) && likeSubject(display, key) {
		f = errLikeSubject
	}
	return f
}

// accountFrom normalises and validates the description of an account, and fills in what it lacks.
func (a *Accounts) accountFrom(u User) (User, error) {
	now := a.now()
	u = u.clone()
	var fs Faults
	if u.ID == "" {
		u.ID = CommandLineID(a.NewID)
	} else if !importedID.MatchString(u.ID) {
		fs.Add("sub", Fault{CodeInvalid, "An id has 16 to 64 letters, digits, - and _; leave it out to get one."})
	}
	u.normalise(&fs, "preferred_username", "")
	if strings.HasPrefix(u.PasswordHash, "!") {
		u.PasswordHash = ""
	}
	if u.PasswordHash != "" {
		switch err := a.Hasher.Accept(u.PasswordHash); {
		case errors.Is(err, password.ErrCost):
			fs.Add("password_hash", Fault{CodeNotAllowed, "The password hash asks for an absurd cost and would never be executed; leave it out and set a new password."})
		case err != nil:
			fs.Add("password_hash", Fault{CodeInvalid, "The password hash has no form that is known here; leave it out and set a new password."})
		}
	}
	for _, x := range []struct {
		field string
		t     *time.Time
		none  time.Time
	}{
		{"created_at", &u.CreatedAt, now},
		{"updated_at", &u.UpdatedAt, now},
		{"last_login_at", &u.LastLoginAt, time.Time{}},
	} {
		*x.t = x.t.UTC().Truncate(time.Microsecond)
		switch {
		case x.t.IsZero():
			*x.t = x.none
		case x.t.Unix() < 0 || x.t.After(now.Add(24*time.Hour)):
			fs.Add(x.field, Fault{CodeInvalid, "This instant is before 1970 or in the future."})
		}
	}
	u.Version = 1
	return u, fs.Err()
}
