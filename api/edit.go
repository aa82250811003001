package api

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/signet-id/signet/userstore"
)

// editable is what a user may change of a profile; nothing else can be named in a
// request. A merge patch reads it with T = *string, because there null empties a field; everywhere else a field is text.
type editable[T string | *string] struct {
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
	Address           *address[T] `json:"address,omitempty"`
}

type address[T string | *string] struct {
	Formatted     T `json:"formatted,omitempty"`
	StreetAddress T `json:"street_address,omitempty"`
	Locality      T `json:"locality,omitempty"`
	Region        T `json:"region,omitempty"`
	PostalCode    T `json:"postal_code,omitempty"`
	Country       T `json:"country,omitempty"`
}

func errTwoNames() error {
	return invalid(fault{"username", "not_allowed", "Send either username or preferred_username; they are the same."})
}

// usernameOf is the one of the two names that was used.
func usernameOf(e editable[string]) (string, error) {
	if e.Username != "" && e.PreferredUsername != "" {
		return "", errTwoNames()
	}
	return e.Username + e.PreferredUsername, nil
}

func claimsOf(e editable[string]) userstore.Claims {
	return userstore.Claims{
		Name: e.Name, GivenName: e.GivenName, FamilyName: e.FamilyName, MiddleName: e.MiddleName, Nickname: e.Nickname,
		Profile: e.Profile, Picture: e.Picture, Website: e.Website, Gender: e.Gender, Birthdate: e.Birthdate,
		Zoneinfo: e.Zoneinfo, Locale: e.Locale, PhoneNumber: e.PhoneNumber, Address: (*userstore.Address)(e.Address),
	}
}

func editableOf(u userstore.User) editable[string] {
	c := u.Claims
	return editable[string]{
		Email: u.Email, PreferredUsername: u.Username,
		Name: c.Name, GivenName: c.GivenName, FamilyName: c.FamilyName, MiddleName: c.MiddleName, Nickname: c.Nickname,
		Profile: c.Profile, Picture: c.Picture, Website: c.Website, Gender: c.Gender, Birthdate: c.Birthdate,
		Zoneinfo: c.Zoneinfo, Locale: c.Locale, PhoneNumber: c.PhoneNumber, Address: (*address[string])(c.Address),
	}
}

// apply makes u what e says. That a new address or number is not verified is the
// accounts' rule; this only keeps what was proved of the number that stays.
func apply(e editable[string], u *userstore.User) error {
	username, err := usernameOf(e)
	if err != nil {
		return err
	}
	claims := claimsOf(e)
	claims.PhoneNumberVerified = u.Claims.PhoneNumberVerified && claims.PhoneNumber == u.Claims.PhoneNumber
	u.Email, u.Username, u.Claims = e.Email, username, claims
	return nil
}

// readPatch reads a body again that was accepted, so that null and absent differ.
func readPatch(body []byte) (map[string]any, error) {
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

// asPreferred lets an error speak of preferred_username, for those who sent that name.
func asPreferred(err error) error {
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

// mergePatch is RFC 7396's function on a profile. It may run several times on one patch.
func mergePatch(target editable[string], patch map[string]any) (merged editable[string], err error) {
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
