package password

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/bits"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// Reasons of Hasher.Accept. Neither repeats what was stored: it may be a password
// in the wrong column.
var (
	ErrForm = errors.New("the password hash has no form that is known here")
	ErrCost = errors.New("the password hash asks for an absurd cost and would never be executed")
)

// foreign is a stored password that another system hashed, taken apart. It is checked
// against the password as it was sent, since no such system knows our normal form, and replaced
// by a hash of ours at the first login that matches.
//
//	pbkdf2_sha256$600000$salt$hash       Django's default
//	argon2$argon2id$v=19$m=…,t=…,p=…$…   Django; argon2i as well
//	bcrypt_sha256$$2b$12$…               Django; bcrypt of the SHA-256 in hex
//	bcrypt$$2b$12$…                      Django; bcrypt of the password
//	scrypt$16384$salt$8$5$hash           Django
//	$2a$, $2b$ or $2y$12$…               bcrypt, as everybody else writes it
//	$scrypt$ln=16,r=8,p=1$salt$hash      PHC, as passlib writes it
//
// A plain $argon2id$ is taken for one of ours.
type foreign struct {
	affordable bool
	memory     uint32 // KiB
	matches    func(h *Hasher, password []byte) bool
}

// What a foreign hash may cost, beside maxStoredMemory and maxStoredWork: a slot is held for
// a second or two at most. Django's defaults of 2025 are a million iterations, bcrypt 12,
// argon2 of 100 MiB twice and scrypt of 16 MiB five times.
const (
	maxIterations = 5_000_000
	maxBcryptCost = 14
	maxScryptWork = maxStoredWork / 4 // it spends four times argon2's time on a KiB
)

// parseForeign reads the forms above and nothing else: no second spelling of a number, no
// whitespace, no unknown parameter.
func parseForeign(s string) (foreign, error) {
	if len(s) > maxPHC {
		return foreign{}, ErrForm
	}
	scheme, rest, _ := strings.Cut(s, "$")
	var f foreign
	var ok bool
	switch scheme {
	case "":
		switch phcScheme(s) {
		case "2a", "2b", "2y":
			f, ok = parseBcrypt(s, func(password []byte) []byte { return password })
		case "scrypt":
			f, ok = parseScryptPHC(rest)
		}
	case "pbkdf2_sha256":
		f, ok = parseDjangoPBKDF2(rest)
	case "argon2":
		f, ok = parseDjangoArgon2(rest)
	case "bcrypt_sha256":
		f, ok = parseBcrypt(rest, hexSHA256)
	case "bcrypt":
		f, ok = parseBcrypt(rest, func(password []byte) []byte { return password })
	case "scrypt":
		f, ok = parseDjangoScrypt(rest)
	}
	if !ok {
		return foreign{}, ErrForm
	}
	return f, nil
}

// check runs in a slot, and counts the memory that it leaves behind.
func (f foreign) check(h *Hasher, password string) bool {
	h.memory.makeRoom()
	defer h.memory.dropped(f.memory, h.idle)
	return f.matches(h, []byte(password))
}

// against makes a comparison of a derivation.
func against(tag []byte, derive func(h *Hasher, password []byte) []byte) func(*Hasher, []byte) bool {
	return func(h *Hasher, password []byte) bool {
		return subtle.ConstantTimeCompare(derive(h, password), tag) == 1
	}
}

// parseDjangoPBKDF2 reads iterations$salt$hash. The salt is text, used as it stands.
func parseDjangoPBKDF2(s string) (foreign, bool) {
	part := strings.Split(s, "$")
	if len(part) != 3 {
		return foreign{}, false
	}
	n, okN := parseCost(part[0], "", 32)
	salt, okS := parseTextSalt(part[1])
	tag, okT := parsePadded(part[2], sha256.Size, sha256.Size)
	return foreign{
		affordable: n <= maxIterations,
		matches: against(tag, func(_ *Hasher, password []byte) []byte {
			key, err := pbkdf2.Key(sha256.New, string(password), salt, int(n), len(tag))
			if err != nil {
				return nil // only for lengths that SHA-256 does not have
			}
			return key
		}),
	}, okN && okS && okT
}

// parseDjangoArgon2 reads argon2id$… and argon2i$…, which Django keeps without the first dollar.
func parseDjangoArgon2(s string) (foreign, bool) {
	scheme, rest, _ := strings.Cut(s, "$")
	if scheme != argon2Scheme && scheme != "argon2i" {
		return foreign{}, false
	}
	hash, err := parseArgon2id("$" + argon2Scheme + "$" + rest)
	if err != nil {
		return foreign{}, false
	}
	return foreign{
		affordable: hash.MemoryKiB <= maxStoredMemory && hash.work() <= maxStoredWork,
		memory:     hash.MemoryKiB,
		matches: against(hash.Tag, func(h *Hasher, password []byte) []byte {
			derive := h.derive
			if scheme == "argon2i" {
				derive = argon2.Key
			}
			return derive(password, hash.Salt, hash.Time, hash.MemoryKiB, hash.Threads, uint32(len(hash.Tag)))
		}),
	}, true
}

// bcryptAlphabet is bcrypt's own base64.
const bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// maxBcrypt is how much of a password bcrypt looks at.
const maxBcrypt = 72

// parseBcrypt reads $2b$12$ and 53 characters of salt and hash. $2a$ and $2y$ are the
// same function, but $2x$ is another: PHP's before its sign extension was mended.
//
// Every bcrypt ignores what follows byte 72. This must do the same, or users with a longer password
// would be locked out. The argon2id hash that replaces it covers every character.
func parseBcrypt(s string, prepare func(password []byte) []byte) (foreign, bool) {
	if len(s) != 60 || s[6] != '$' || strings.Trim(s[7:], bcryptAlphabet) != "" {
		return foreign{}, false
	}
	switch s[:4] {
	case "$2a$", "$2b$", "$2y$":
	default:
		return foreign{}, false
	}
	cost, ok := parseCost(strings.TrimPrefix(s[4:6], "0"), "", 8)
	// 23 bytes fill 31 characters but for two bits, which no bcrypt sets.
	unset := strings.IndexByte(bcryptAlphabet, s[59])&3 == 0
	return foreign{
		affordable: cost <= maxBcryptCost,
		memory:     4,
		matches: func(_ *Hasher, password []byte) bool {
			password = prepare(password)
			return bcrypt.CompareHashAndPassword([]byte(s), password[:min(len(password), maxBcrypt)]) == nil
		},
	}, ok && cost >= uint64(bcrypt.MinCost) && cost <= uint64(bcrypt.MaxCost) && unset
}

func hexSHA256(password []byte) []byte {
	sum := sha256.Sum256(password)
	return hex.AppendEncode(nil, sum[:])
}

// parseScryptPHC reads scrypt$ln=16,r=8,p=1$salt$hash.
func parseScryptPHC(s string) (foreign, bool) {
	part := strings.Split(s, "$")
	if len(part) != 4 {
		return foreign{}, false
	}
	cost := strings.Split(part[1], ",")
	if len(cost) != 3 {
		return foreign{}, false
	}
	ln, okN := parseCost(cost[0], "ln=", 8)
	r, okR := parseCost(cost[1], "r=", 32)
	p, okP := parseCost(cost[2], "p=", 32)
	salt, okS := parseB64(part[2], 1, maxTextSalt)
	tag, okT := parseB64(part[3], minTag, maxTag)
	if !okN || !okR || !okP || !okS || !okT || ln > 62 {
		return foreign{}, false
	}
	return scryptHash(1<<ln, r, p, salt, tag), true
}

// parseDjangoScrypt reads N$salt$r$p$hash. The salt is text, used as it stands.
func parseDjangoScrypt(s string) (foreign, bool) {
	part := strings.Split(s, "$")
	if len(part) != 5 {
		return foreign{}, false
	}
	n, okN := parseCost(part[0], "", 63)
	salt, okS := parseTextSalt(part[1])
	r, okR := parseCost(part[2], "", 32)
	p, okP := parseCost(part[3], "", 32)
	tag, okT := parsePadded(part[4], minTag, maxTag)
	if !okN || !okS || !okR || !okP || !okT || n < 2 || bits.OnesCount64(n) != 1 {
		return foreign{}, false
	}
	return scryptHash(n, r, p, salt, tag), true
}

func scryptHash(n, r, p uint64, salt, tag []byte) foreign {
	// Bounded one by one first: their product has more than 64 bits.
	affordable := n <= 1<<24 && r <= 1<<10 && p <= 1<<10
	var memory, work uint64 // KiB
	if affordable {
		memory = 128 * r * n / 1024
		work = 128 * r * n * p / 1024
		affordable = memory <= maxStoredMemory && work <= maxScryptWork
	}
	return foreign{
		affordable: affordable,
		memory:     uint32(memory),
		matches: against(tag, func(_ *Hasher, password []byte) []byte {
			key, err := scrypt.Key(password, salt, int(n), int(r), int(p), len(tag))
			if err != nil {
				return nil // only for costs that the parsers refuse
			}
			return key
		}),
	}
}

const maxTextSalt = 128

// parseTextSalt reads a salt that is used as it stands.
func parseTextSalt(s string) ([]byte, bool) {
	printable := !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
	return []byte(s), s != "" && len(s) <= maxTextSalt && printable
}

// padded is Django's base64: with padding, and one spelling only.
var padded = base64.StdEncoding.Strict()

func parsePadded(s string, least, most int) ([]byte, bool) {
	b, err := padded.DecodeString(s)
	return b, err == nil && !strings.ContainsAny(s, "\r\n") && len(b) >= least && len(b) <= most
}
