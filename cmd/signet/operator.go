package main

import (
	"os"
	"os/user"
	"strconv"

	"github.com/signet-id/signet/internal/audit"
)

// operator is who runs a command, for the audit log: by the system's name of them, or their number
// when the machine knows no name, as in a container.
func operator() audit.Origin {
	uid := os.Getuid()
	name := strconv.Itoa(uid)
	// By the number, and not user.Current, which believes $USER where the machine knows no name.
	if u, err := user.LookupId(name); err == nil && u.Username != "" {
		name = u.Username
	}
	return audit.Origin{Actor: audit.Actor{Type: audit.ByOperator, ID: name}}
}

// system is what the server does of itself.
var system = audit.Origin{Actor: audit.Actor{Type: audit.BySystem}}
