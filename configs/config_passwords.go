package configs

import "runtime"

// Passwords is the section `passwords`.
type Passwords struct {
	// Fewest characters of a new password. At least 8.
	MinLength int `key:"min_length"`

	// Where to ask whether a new password is known from a breach, such as
	// https://api.pwnedpasswords.com/range or a mirror of it. It hears the first five digits
	// of the password's SHA-1. When it does not answer within a second, the password is
	// allowed; logins never ask. Empty: nobody is asked.
	BreachCheckURL string `key:"breach_check_url"`

	Argon2 Argon2 `key:"argon2"`

	// How many passwords are hashed at once; others wait. Each takes
	// `passwords.argon2.memory`. One slot more is for secrets of clients. 0: as
	// many as processors (GOMAXPROCS).
	HashSlots int `key:"hash_slots"`
}

// Argon2 is the section `passwords.argon2`: the costs of argon2id. Memory and time must be at least
// one row of OWASP's table: 46MiB and 1, 19MiB and 2, 12MiB and 3, 9MiB and 4, 7MiB and 5.
type Argon2 struct {
	// Memory of one hash, in KiB or MiB. With `passwords.argon2.time` at least 46MiB
	// and 1, 19MiB and 2, 12MiB and 3, 9MiB and 4, or 7MiB and 5. At most 1024MiB.
	Memory Size `key:"memory"`

	// Passes over the memory. At most 16.
	Time int `key:"time"`

	// Lanes of one hash. At most 16.
	Threads int `key:"threads"`
}

// Slots returns how many passwords are hashed at once.
func (p Passwords) Slots() int {
	if p.HashSlots > 0 {
		return p.HashSlots
	}
	return runtime.GOMAXPROCS(0)
}
