package configs

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/signet-id/signet/internal/pgurl"
)

// ErrPasswordInArgument means that the arguments of a command hold a password, which every user of
// the machine can see.
var ErrPasswordInArgument = errors.New("the address holds a password, which other users of this machine see in the list of " +
	"processes, and the shell keeps")

// Target returns the address of the PostgreSQL database that a command writes to: argument, or the
// content of file. Whatever it returns as an error repeats no part of the address.
func Target(argument, file string) (address Secret, warnings []string, err error) {
	if file != "" {
		text, err := ReadSmallFile(file)
		if err == nil {
			text, err = WithoutBOM(text)
		}
		if err != nil {
			return "", nil, fmt.Errorf("%s: %s", file, FileReason(err))
		}
		address = Secret(strings.TrimRight(string(text), "\r\n"))
		l := loader{}
		l.warnAboutFile(file, "it holds the address of a database")
		warnings = l.warnings
	} else {
		address = Secret(argument)
		if hasPassword(argument) {
			return "", nil, ErrPasswordInArgument
		}
	}
	if !isPostgres(address.Reveal()) {
		return "", nil, errors.New("the address is not a postgres:// URL: write postgres://user@host/database")
	}
	if reason := badDatabase(address.Reveal()); reason != "" {
		return "", nil, errors.New("the address " + reason)
	}
	return address, warnings, nil
}

// hasPassword reports whether an address of PostgreSQL holds a password.
func hasPassword(address string) bool {
	_, rest, _ := strings.Cut(pgurl.Plain(address), "://")
	authority, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 && strings.Contains(authority[:at], ":") {
		return true
	}
	for name := range parameters(query) {
		if strings.Contains(strings.ToLower(name), "password") {
			return true
		}
	}
	return false
}

// parameters returns the parameters of a query, also when parts of it are faulty.
func parameters(query string) url.Values {
	values, _ := url.ParseQuery(query)
	return values
}
