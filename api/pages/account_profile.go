package pages

import (
	"net/http"
	"strings"

	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/web"
	"github.com/signet-id/signet/userstore"
)

// AccountProfileForm changes the name and the rest of the profile. What the form has no field for stays.
func (h *Handlers) AccountProfileForm(w http.ResponseWriter, r *http.Request, o owner) error {
	f, err := h.readAccount(w, r, o, web.AccountProfile, web.ProfileFields...)
	if err != nil {
		return err
	}
	_, err = h.Accounts.Edit(r.Context(), o.User.ID, func(u *userstore.User) error {
		next := profile.FieldsOf(*u)
		for name, field := range map[string]*string{
			"name": &next.Name, "given_name": &next.GivenName, "family_name": &next.FamilyName, "nickname": &next.Nickname,
			"phone_number": &next.PhoneNumber, "website": &next.Website, "birthdate": &next.Birthdate, "zoneinfo": &next.Zoneinfo,
		} {
			*field = strings.TrimSpace(f.Get(name))
		}
		return profile.Apply(next, u)
	})
	if err != nil {
		return h.refuseAccount(w, r, o, web.AccountProfile, err, typedOf(f, web.ProfileFields))
	}
	return h.accountDone(w, web.AccountProfile, web.DoneSaved)
}
