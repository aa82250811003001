package userstore

import (
	"strconv"
	"strings"

	"github.com/signet-id/signet/internal/audit"
)

// auditFields lists the fields of an account that the audit log records, by the names and in the
// forms of the API. It omits the password and the fields that no edit changes.
func (u User) auditFields() []audit.Change {
	c := u.Claims
	address := Address{}
	if c.Address != nil {
		address = *c.Address
	}
	return []audit.Change{
		{Field: "email", After: u.Email},
		{Field: "email_verified", After: strconv.FormatBool(u.EmailVerified)},
		{Field: "preferred_username", After: u.Username},
		{Field: "is_active", After: strconv.FormatBool(u.IsActive)},
		{Field: "is_staff", After: strconv.FormatBool(u.IsStaff)},
		{Field: "roles", After: strings.Join(u.Roles, " ")},
		{Field: "name", After: c.Name},
		{Field: "given_name", After: c.GivenName},
		{Field: "family_name", After: c.FamilyName},
		{Field: "middle_name", After: c.MiddleName},
		{Field: "nickname", After: c.Nickname},
		{Field: "profile", After: c.Profile},
		{Field: "picture", After: c.Picture},
		{Field: "website", After: c.Website},
		{Field: "gender", After: c.Gender},
		{Field: "birthdate", After: c.Birthdate},
		{Field: "zoneinfo", After: c.Zoneinfo},
		{Field: "locale", After: c.Locale},
		{Field: "phone_number", After: c.PhoneNumber},
		{Field: "phone_number_verified", After: strconv.FormatBool(c.PhoneNumberVerified)},
		{Field: "address.formatted", After: address.Formatted},
		{Field: "address.street_address", After: address.StreetAddress},
		{Field: "address.locality", After: address.Locality},
		{Field: "address.region", After: address.Region},
		{Field: "address.postal_code", After: address.PostalCode},
		{Field: "address.country", After: address.Country},
	}
}

// changes lists the fields in which next differs from old.
func changes(old, next User) []audit.Change {
	return audit.Differing(old.auditFields(), next.auditFields())
}

// privileges lists what distinguishes a new account from an ordinary one: flags and roles that were
// granted, not claims that the user filled in.
func privileges(u User) []audit.Change {
	next := User{IsActive: u.IsActive, IsStaff: u.IsStaff, EmailVerified: u.EmailVerified, Roles: u.Roles}
	return changes(User{IsActive: true}, next)
}
