package configs

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes, written with a unit: 19MiB.
type Size int64

// Units of Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
)

// KiB returns the size in KiB, the unit of argon2.
func (s Size) KiB() int64 { return int64(s / KiB) }

func (s Size) String() string {
	if s%MiB == 0 {
		return fmt.Sprintf("%dMiB", s/MiB)
	}
	return fmt.Sprintf("%dKiB", s/KiB)
}

func parseSize(text string) (Size, error) {
	for _, unit := range []struct {
		suffix string
		size   Size
	}{{"KiB", KiB}, {"MiB", MiB}, {"GiB", MiB << 10}} {
		digits, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 32)
		if err != nil || n < 0 {
			break
		}
		return Size(n) * unit.size, nil
	}
	return 0, fmt.Errorf("%q is not a size; write a whole number with KiB, MiB or GiB, such as 19MiB", text)
}
