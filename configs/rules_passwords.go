package configs

import (
	"fmt"
	"net/url"
	"strings"
)

func badBreachCheck(address string) string {
	if address == "" {
		return ""
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Sprintf("%q is not a URL; write one such as https://api.pwnedpasswords.com/range", address)
	case u.User != nil || strings.ContainsAny(address, "?#"):
		return "holds a user name, a query or a fragment; the digits are appended to its path, so write it without"
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Sprintf("%q is not safe: anybody on the way could allow every password; write %q",
			address, "https"+strings.TrimPrefix(address, "http"))
	}
	return ""
}

// owasp is the table of OWASP's Password Storage Cheat Sheet: pairs of equal strength.
var owasp = []struct {
	memory Size
	time   int
}{{46 * MiB, 1}, {19 * MiB, 2}, {12 * MiB, 3}, {9 * MiB, 4}, {7 * MiB, 5}}

func weakArgon2(a Argon2) string {
	if a.Memory > 1024*MiB {
		return fmt.Sprintf("%s is more than 1024MiB; every login would take that much", a.Memory)
	}
	if a.Memory%KiB != 0 {
		return "is not a whole number of KiB"
	}
	for _, row := range owasp {
		if a.Memory >= row.memory && a.Time >= row.time {
			return ""
		}
	}
	return fmt.Sprintf("%s with a time of %d is too cheap to guess; take at least 46MiB and 1, 19MiB and 2, 12MiB and 3, 9MiB and 4, or 7MiB and 5",
		a.Memory, a.Time)
}
