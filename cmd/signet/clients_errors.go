package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

func noSuchClient(err error, id string) error {
	if errors.Is(err, userstore.ErrNotFound) {
		if registration.NamesDocument(id) {
			return fmt.Errorf("nobody has allowed %q anything, so there is no client of that id; "+
				"oauth.client_id_metadata_hosts.deny keeps a host out", printable.Text(id))
		}
		return fmt.Errorf("there is no client %q; `signet clients list` shows those there are", printable.Text(id))
	}
	return err
}

// explainClient turns an error of the client registry into one sentence that names the flags.
func explainClient(err error, c userstore.Client) error {
	var invalid *userstore.ValidationError
	var exists *userstore.ExistsError
	switch {
	case errors.As(err, &invalid):
		return refusedFields(invalid, func(field string) string { return flagOf(field, c) }, "jwks", "client_secret")
	case errors.As(err, &exists):
		return errors.New("there is a client with this client_id already; `signet clients show` shows it")
	case errors.Is(err, registration.ErrBuiltIn):
		return errors.New("the built-in client cannot be deleted: logins that name no client use it; `signet clients disable` keeps it out")
	}
	return err
}

// flagOf returns the flag of a faulty field, and for a list the faulty member.
func flagOf(field string, c userstore.Client) string {
	root, index, _ := strings.Cut(field, ".")
	for _, f := range listFlags {
		if f.field != root {
			continue
		}
		list := *f.of(&c)
		if n, err := strconv.Atoi(index); err == nil && n < len(list) {
			return "--" + f.name + " " + printable.Text(short(list[n]))
		}
		return "--" + f.name
	}
	for _, f := range textFlags {
		if f.field == root {
			return "--" + f.name
		}
	}
	for _, f := range boolFlags {
		if f.field == root {
			return "--" + f.name
		}
	}
	switch root {
	case "jwks":
		return strings.TrimSuffix("--jwks-file "+index, " ")
	case "client_secret":
		return "--secret-file"
	}
	return field
}
