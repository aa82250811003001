package userfile

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signet-id/signet/userstore"
)

// column is one member of an account in CSV.
type column struct {
	name, django string // django: its name in auth_user; empty: auth_user has no such column
	get          func(u *userstore.User) string
	set          func(u *userstore.User, cell string) error // reads a cell that is not empty
}

// columns lists every column, in the order in which they are written.
var columns = []column{
	text("sub", "", func(u *userstore.User) *string { return &u.ID }),
	text("email", "email", func(u *userstore.User) *string { return &u.Email }),
	flag("email_verified", "", func(u *userstore.User) *bool { return &u.EmailVerified }),
	text("preferred_username", "username", func(u *userstore.User) *string { return &u.Username }),
	text("password_hash", "password", func(u *userstore.User) *string { return &u.PasswordHash }),
	{name: "name",
		get: func(u *userstore.User) string { return u.Claims.WithComposedName().Name },
		set: func(u *userstore.User, cell string) error { u.Claims.Name = cell; return nil }},
	text("given_name", "first_name", func(u *userstore.User) *string { return &u.Claims.GivenName }),
	text("family_name", "last_name", func(u *userstore.User) *string { return &u.Claims.FamilyName }),
	text("middle_name", "", func(u *userstore.User) *string { return &u.Claims.MiddleName }),
	text("nickname", "", func(u *userstore.User) *string { return &u.Claims.Nickname }),
	text("profile", "", func(u *userstore.User) *string { return &u.Claims.Profile }),
	text("picture", "", func(u *userstore.User) *string { return &u.Claims.Picture }),
	text("website", "", func(u *userstore.User) *string { return &u.Claims.Website }),
	text("gender", "", func(u *userstore.User) *string { return &u.Claims.Gender }),
	text("birthdate", "", func(u *userstore.User) *string { return &u.Claims.Birthdate }),
	text("zoneinfo", "", func(u *userstore.User) *string { return &u.Claims.Zoneinfo }),
	text("locale", "", func(u *userstore.User) *string { return &u.Claims.Locale }),
	text("phone_number", "", func(u *userstore.User) *string { return &u.Claims.PhoneNumber }),
	flag("phone_number_verified", "", func(u *userstore.User) *bool { return &u.Claims.PhoneNumberVerified }),
	text("address.formatted", "", func(u *userstore.User) *string { return &address(u).Formatted }),
	text("address.street_address", "", func(u *userstore.User) *string { return &address(u).StreetAddress }),
	text("address.locality", "", func(u *userstore.User) *string { return &address(u).Locality }),
	text("address.region", "", func(u *userstore.User) *string { return &address(u).Region }),
	text("address.postal_code", "", func(u *userstore.User) *string { return &address(u).PostalCode }),
	text("address.country", "", func(u *userstore.User) *string { return &address(u).Country }),
	flag("is_active", "is_active", func(u *userstore.User) *bool { return &u.IsActive }),
	flag("is_staff", "is_staff", func(u *userstore.User) *bool { return &u.IsStaff }),
	{name: "roles",
		get: func(u *userstore.User) string { return strings.Join(u.Roles, " ") },
		set: func(u *userstore.User, cell string) error {
			u.Roles = append(u.Roles, strings.Fields(cell)...)
			return nil
		}},
	moment("created_at", "date_joined", func(u *userstore.User) *time.Time { return &u.CreatedAt }),
	moment("updated_at", "", func(u *userstore.User) *time.Time { return &u.UpdatedAt }),
	moment("last_login_at", "last_login", func(u *userstore.User) *time.Time { return &u.LastLoginAt }),

	// Columns of Django only. Its superusers become administrators; its id is never used as a
	// subject.
	{django: "is_superuser", set: func(u *userstore.User, cell string) error {
		is, err := parseBool(cell)
		if is {
			u.Roles = append(u.Roles, "admin")
		}
		return err
	}},
	{django: "id", set: func(*userstore.User, string) error { return nil }},
}

// address returns the account's address, which it creates if the account has none. An import drops
// an empty one: see Import.
func address(u *userstore.User) *userstore.Address {
	if u.Claims.Address == nil {
		u.Claims.Address = &userstore.Address{}
	}
	return u.Claims.Address
}

func text(name, django string, at func(*userstore.User) *string) column {
	return column{name, django,
		func(u *userstore.User) string { return *at(u) },
		func(u *userstore.User, cell string) error { *at(u) = cell; return nil }}
}

func flag(name, django string, at func(*userstore.User) *bool) column {
	return column{name, django,
		func(u *userstore.User) string { return strconv.FormatBool(*at(u)) },
		func(u *userstore.User, cell string) (err error) { *at(u), err = parseBool(cell); return err }}
}

func moment(name, django string, at func(*userstore.User) *time.Time) column {
	return column{name, django,
		func(u *userstore.User) string {
			if t := rfc3339(*at(u)); t != nil {
				return *t
			}
			return ""
		},
		func(u *userstore.User, cell string) (err error) { *at(u), err = parseMoment(cell); return err }}
}

// parseBool reads the forms that PostgreSQL, MySQL, SQLite and Python write.
func parseBool(cell string) (bool, error) {
	switch strings.ToLower(cell) {
	case "1", "t", "true":
		return true, nil
	case "0", "f", "false":
		return false, nil
	}
	return false, errors.New("write true or false")
}

// momentForms are RFC 3339 and the forms that databases write: a space for the T, a zone of hours
// only, or no zone.
var momentForms = []string{
	"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999Z07",
	"2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999",
}

// parseMoment reads an instant. Without a zone it is in UTC, which Django stores in databases that
// have no type with a zone.
func parseMoment(cell string) (time.Time, error) {
	for _, form := range momentForms {
		if t, err := time.Parse(form, cell); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("write the instant like 2026-01-02T15:04:05Z")
}

// formulaStarts are the characters with which a cell begins that a spreadsheet runs as a formula
// (S-06). An apostrophe is written before such a cell, and before an apostrophe, so that reading
// can remove it again.
const formulaStarts = "'=+-@\t\r\n＝＋－＠"

func guardFormula(cell string) string {
	if first, size := utf8.DecodeRuneInString(cell); size > 0 && strings.ContainsRune(formulaStarts, first) {
		return "'" + cell
	}
	return cell
}

func unguardFormula(cell string) string { return strings.TrimPrefix(cell, "'") }
