package profile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/userstore"
)

// Fields is what a user may change of a profile; nothing else can be named in a request. A merge
// patch reads it with T = *string, because there null empties a field; everywhere else a field is
// text.
type Fields[T string | *string] struct {
	Email             T           `json:"email,omitempty"`
	Username          T           `json:"username,omitempty"` // another name of preferred_username
	PreferredUsername T           `json:"preferred_username,omitempty"`
	Name              T           `json:"name,omitempty"`
	GivenName         T           `json:"given_name,omitempty"`
	FamilyName        T           `json:"family_name,omitempty"`
	MiddleName        T           `json:"middle_name,omitempty"`
	Nickname          T           `json:"nickname,omitempty"`
	Profile           T           `json:"profile,omitempty"`
	Picture           T           `json:"picture,omitempty"`
	Website           T           `json:"website,omitempty"`
	Gender            T           `json:"gender,omitempty"`
	Birthdate         T           `json:"birthdate,omitempty"`
	Zoneinfo          T           `json:"zoneinfo,omitempty"`
	Locale            T           `json:"locale,omitempty"`
	PhoneNumber       T           `json:"phone_number,omitempty"`
	Address           *Address[T] `json:"address,omitempty"`
}

// Address is the claim of that name, with its members as Fields has its own.
type Address[T string | *string] struct {
	Formatted     T `json:"formatted,omitempty"`
	StreetAddress T `json:"street_address,omitempty"`
	Locality      T `json:"locality,omitempty"`
	Region        T `json:"region,omitempty"`
	PostalCode    T `json:"postal_code,omitempty"`
	Country       T `json:"country,omitempty"`
}

func errTwoNames() error {
	return problem.Invalid(problem.Fault{Field: "username", Code: "not_allowed", Message: "Send either username or preferred_username; they are the same."})
}

// UsernameOf is the username, whichever of the two members carries it.
func UsernameOf(e Fields[string]) (string, error) {
	if e.Username != "" && e.PreferredUsername != "" {
		return "", errTwoNames()
	}
	return cmp.Or(e.Username, e.PreferredUsername), nil
}

// ClaimsOf are the claims among the fields.
func ClaimsOf(e Fields[string]) userstore.Claims {
	return userstore.Claims{
		Name: e.Name, GivenName: e.GivenName, FamilyName: e.FamilyName, MiddleName: e.MiddleName, Nickname: e.Nickname,
		Profile: e.Profile, Picture: e.Picture, Website: e.Website, Gender: e.Gender, Birthdate: e.Birthdate,
		Zoneinfo: e.Zoneinfo, Locale: e.Locale, PhoneNumber: e.PhoneNumber, Address: (*userstore.Address)(e.Address),
	}
}

// FieldsOf are the present values of the fields.
func FieldsOf(u userstore.User) Fields[string] {
	c := u.Claims
	return Fields[string]{
		Email: u.Email, PreferredUsername: u.Username,
		Name: c.Name, GivenName: c.GivenName, FamilyName: c.FamilyName, MiddleName: c.MiddleName, Nickname: c.Nickname,
		Profile: c.Profile, Picture: c.Picture, Website: c.Website, Gender: c.Gender, Birthdate: c.Birthdate,
		Zoneinfo: c.Zoneinfo, Locale: c.Locale, PhoneNumber: c.PhoneNumber, Address: (*Address[string])(c.Address),
	}
}

// Apply changes u to what e says. userstore.Accounts resets the verification of a new email address
// or number; Apply only keeps that of a number which stays.
func Apply(e Fields[string], u *userstore.User) error {
	username, err := UsernameOf(e)
	if err != nil {
		return err
	}
	claims := ClaimsOf(e)
	claims.PhoneNumberVerified = u.Claims.PhoneNumberVerified && claims.PhoneNumber == u.Claims.PhoneNumber
	u.Email, u.Username, u.Claims = e.Email, username, claims
	return nil
}

// ReadPatch reads an accepted body once more, as a map, in which null and absent differ.
func ReadPatch(body []byte) (map[string]any, error) {
	var patch map[string]any
	if err := json.Unmarshal(body, &patch); err != nil {
		return nil, fmt.Errorf("read an accepted patch: %w", err)
	}
	if name, ok := patch["username"]; ok {
		if _, both := patch["preferred_username"]; both {
			return nil, errTwoNames()
		}
		delete(patch, "username")
		patch["preferred_username"] = name
	}
	return patch, nil
}

// AsPreferredUsername renames the field username of an error, for clients that sent
// preferred_username.
func AsPreferredUsername(err error) error {
	if exists := (*userstore.ExistsError)(nil); errors.As(err, &exists) && exists.Field == "username" {
		return &userstore.ExistsError{Field: "preferred_username"}
	}
	if faults := (*userstore.ValidationError)(nil); errors.As(err, &faults) {
		for i := range faults.Fields {
			if faults.Fields[i].Field == "username" {
				faults.Fields[i].Field = "preferred_username"
			}
		}
	}
	return err
}

// MergePatch applies a merge patch (RFC 7396) to a profile. It does not change the patch.
func MergePatch(target Fields[string], patch map[string]any) (merged Fields[string], err error) {
	text, err := json.Marshal(target)
	if err != nil {
		return merged, err
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		return merged, err
	}
	if text, err = json.Marshal(mergeObject(doc, patch)); err != nil {
		return merged, err
	}
	return merged, json.Unmarshal(text, &merged)
}

func mergeObject(target, patch map[string]any) map[string]any {
	if target == nil {
		target = map[string]any{}
	}
	for name, value := range patch {
		switch v := value.(type) {
		case nil:
			delete(target, name)
		case map[string]any:
			inner, _ := target[name].(map[string]any)
			target[name] = mergeObject(inner, v)
		default:
			target[name] = v
		}
	}
	return target
}
