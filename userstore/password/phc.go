package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// argon2Hash is a stored password: a PHC string taken apart.
//
//	$argon2id$v=19$m=19456,t=2,p=1$<salt>$<tag>
type argon2Hash struct {
	Params
	Salt, Tag []byte
}

const (
	argon2Scheme  = "argon2id"
	argon2Version = "v=19" // RFC 9106's; the older 16 is another function
)

// Bounds of what is read. Salts and tags outside them come from no hasher in use.
const (
	minSalt, maxSalt = 8, 64
	minTag, maxTag   = 16, 64
	maxPHC           = 512
)

var errNotPHC = errors.New("not an argon2id PHC string")

// b64 is PHC's base64: without padding, and one spelling only.
var b64 = base64.RawStdEncoding.Strict()

func (h argon2Hash) String() string {
	return fmt.Sprintf("$%s$%s$m=%d,t=%d,p=%d$%s$%s", argon2Scheme, argon2Version, h.MemoryKiB, h.Time, h.Threads,
		b64.EncodeToString(h.Salt), b64.EncodeToString(h.Tag))
}

// phcScheme names the function of a stored hash: the text between the first two dollar signs.
// Empty when s is no PHC string.
func phcScheme(s string) string {
	rest, ok := strings.CutPrefix(s, "$")
	if !ok {
		return ""
	}
	scheme, _, ok := strings.Cut(rest, "$")
	if !ok {
		return ""
	}
	return scheme
}

// parseArgon2id reads exactly what argon2Hash.String writes: parse(s).String() == s for
// all it accepts. It says nothing about whether the cost is reasonable; see Hasher.
func parseArgon2id(s string) (argon2Hash, error) {
	if len(s) > maxPHC {
		return argon2Hash{}, errNotPHC
	}
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != argon2Scheme || part[2] != argon2Version {
		return argon2Hash{}, errNotPHC
	}
	cost := strings.Split(part[3], ",")
	if len(cost) != 3 {
		return argon2Hash{}, errNotPHC
	}
	m, okM := parseCost(cost[0], "m=", 32)
	t, okT := parseCost(cost[1], "t=", 32)
	p, okP := parseCost(cost[2], "p=", 8)
	// RFC 9106 section 3.1 demands 8 blocks a lane; x/crypto would silently use more.
	if !okM || !okT || !okP || m < 8*p {
		return argon2Hash{}, errNotPHC
	}
	salt, okS := parseB64(part[4], minSalt, maxSalt)
	tag, okG := parseB64(part[5], minTag, maxTag)
	if !okS || !okG {
		return argon2Hash{}, errNotPHC
	}
	return argon2Hash{
		Params: Params{MemoryKiB: uint32(m), Time: uint32(t), Threads: uint8(p)},
		Salt:   salt,
		Tag:    tag,
	}, nil
}

// parseCost reads one positive decimal as PHC writes it: no sign, no leading zero.
func parseCost(s, name string, bits int) (uint64, bool) {
	digits, ok := strings.CutPrefix(s, name)
	if !ok || !isDigits(digits) || digits[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, bits)
	return n, err == nil
}

func parseB64(s string, least, most int) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") { // which Go's decoder skips
		return nil, false
	}
	b, err := b64.DecodeString(s)
	return b, err == nil && len(b) >= least && len(b) <= most
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
