package main

import (
	"os"
	"os/user"
	"strconv"

	"github.com/signet-id/signet/internal/audit"
)

// operator returns the actor of a command for the audit log. It is the user name of the system, or
// the user number if the machine has no name for it, as in a container.
func operator() audit.Origin {
	uid := os.Getuid()
	name := strconv.Itoa(uid)
	// Not user.Current, because that believes $USER if the machine has no name for the number.
	if u, err := user.LookupId(name); err == nil && u.Username != "" {
		name = u.Username
	}
	return audit.Origin{Actor: audit.Actor{Type: audit.ByOperator, ID: name}}
}

// system is the actor of everything that the server does by itself.
var system = audit.Origin{Actor: audit.Actor{Type: audit.BySystem}}
