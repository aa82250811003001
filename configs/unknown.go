package configs

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// unknownReason returns why an unknown key is refused, with the known key that was probably meant.
// name returns the name of a field in the form of the source: a key or a variable.
func unknownReason(key string, name func(field) string) string {
	// Keys are compared without separators: HTTP_CORS_ORIGIN and http.cors-origins are near
	// http.cors_origins.
	plain := strings.NewReplacer(".", "", "_", "", "-", "")
	wanted := plain.Replace(strings.ToLower(key))
	best, distance := field{}, 1+max(1, len(wanted)/4)
	for _, f := range fields {
		if d := editDistance(wanted, plain.Replace(f.key)); d < distance {
			best, distance = f, d
		}
	}
	if best.key != "" {
		return fmt.Sprintf("is not a key; did you mean %s?", name(best))
	}
	// The key may be in the wrong section, such as rotation at the top.
	for _, f := range fields {
		if last := f.key[strings.LastIndex(f.key, ".")+1:]; plain.Replace(last) == wanted {
			return fmt.Sprintf("is not a key; did you mean %s?", name(f))
		}
	}
	return "is not a key; `signet config` lists those there are"
}

func isSection(key string) bool { return firstKeyOf(key) != "" }

func firstKeyOf(section string) string {
	for _, f := range fields {
		if strings.HasPrefix(f.key, section+".") {
			return f.key
		}
	}
	return ""
}

// editDistance returns Levenshtein's distance between two texts, in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// foreignVariables are variables with our prefix that this program does not read: compose.yaml and
// the project's own tests do. An operator may run our commands in a shell that exports them.
var foreignVariables = map[string]bool{
	EnvPrefix + "UID": true, EnvPrefix + "GID": true, EnvPrefix + "VERSION": true, EnvPrefix + "TEST_POSTGRES_URL": true,
	EnvPrefix + "TEST_MAVEN_URL": true,
}

// fromKubernetes reports whether a variable is one that Kubernetes puts into every container. For a
// Service called signet any value counts; for a Service called signet-something the value must be
// an address of a Service.
func fromKubernetes(name, value string) bool {
	rest := strings.TrimPrefix(name, EnvPrefix)
	if rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_") {
		return true
	}
	service := strings.Contains(rest, "_SERVICE_HOST") || strings.Contains(rest, "_SERVICE_PORT")
	port := strings.HasSuffix(rest, "_PORT") || strings.Contains(rest, "_PORT_")
	return (service || port) && isServiceAddress(value)
}

// isServiceAddress reports whether a value has one of the forms 10.0.0.1, 8080, tcp and
// tcp://10.0.0.1:8080.
func isServiceAddress(value string) bool {
	if _, err := netip.ParseAddr(value); err == nil {
		return true
	}
	if _, err := strconv.ParseUint(value, 10, 16); err == nil {
		return true
	}
	isProtocol := func(p string) bool { return p == "tcp" || p == "udp" || p == "sctp" }
	if isProtocol(value) {
		return true
	}
	u, err := url.Parse(value)
	if err != nil || !isProtocol(u.Scheme) {
		return false
	}
	_, err = netip.ParseAddrPort(u.Host)
	return err == nil
}
