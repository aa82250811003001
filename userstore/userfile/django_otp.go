package userfile

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/signet-id/signet/internal/totp"
	"github.com/signet-id/signet/userstore"
)

// hotpRefused is the reason for leaving out an app of HOTP (RFC 4226), which both formats name.
const hotpRefused = "HOTP, whose codes are counted instead of timed, is not supported"

// deviceMembers are the members of django-otp's TOTPDevice and HOTPDevice that an import reads, by
// their names in the database. The ones for throttling, the name of the device and its tolerance
// are not kept.
var deviceMembers = []string{"key", "step", "t0", "digits", "drift", "last_t", "confirmed", "counter"}

// devices are the columns of a CSV file that have django-otp's devices, joined to auth_user. They
// are named as in the tables, or as Django's `values()` names them, with totpdevice__ or
// hotpdevice__ in front.
type devices struct {
	totp, hotp map[string]int // member → index of its column; hotp has only the key
}

// isDeviceColumn reports whether a column may belong to a device.
func isDeviceColumn(name string) bool {
	member := strings.TrimPrefix(strings.TrimPrefix(name, "totpdevice__"), "hotpdevice__")
	return slices.Contains(deviceMembers, member)
}

// isOfDevice reports whether the column at an index has a name of an account, but belongs to the
// table of devices, whose columns follow each other in a `SELECT users.*, devices.*`: id, name,
// confirmed, key …, created_at, last_used_at.
func isOfDevice(header []string, i int) bool {
	for _, columns := range [][]string{{"id", "name", "confirmed", "key"}, {"name", "confirmed", "key"},
		{"created_at", "last_used_at"}} {
		if len(header)-i >= len(columns) && slices.Equal(header[i:i+len(columns)], columns) {
			return true
		}
	}
	return false
}

// findDevices returns the columns of devices in a header, or nil if no device has a key there.
//
// A column that is missing is an error. A default in its place could be another value than the
// device's, and its owner could not log in any more; and an account whose second factor is left out
// is open to its password.
func findDevices(header []string) (*devices, error) {
	columns, twice := map[string]int{}, ""
	for i, name := range header {
		if !isDeviceColumn(name) {
			continue
		}
		if _, ok := columns[name]; ok {
			twice = name
		}
		columns[name] = i
	}
	d := &devices{totp: map[string]int{}, hotp: map[string]int{}}
	if i, ok := columns["hotpdevice__key"]; ok {
		d.hotp["key"] = i
	}
	prefix := ""
	if _, ok := columns["totpdevice__key"]; ok {
		prefix = "totpdevice__"
	}
	if i, ok := columns[prefix+"key"]; ok {
		_, counts := columns[prefix+"counter"]
		_, timed := columns[prefix+"step"]
		if counts && !timed {
			d.hotp["key"] = i
		} else if err := d.findTOTP(columns, prefix); err != nil {
			return nil, err
		}
	}
	if len(d.totp)+len(d.hotp) == 0 {
		return nil, nil
	}
	if twice != "" {
		return nil, fmt.Errorf("the column %s is there twice; leave one out", twice)
	}
	return d, nil
}

func (d *devices) findTOTP(columns map[string]int, prefix string) error {
	for _, member := range deviceMembers {
		i, ok := columns[prefix+member]
		switch {
		case ok:
			d.totp[member] = i
		case member != "drift" && member != "last_t" && member != "counter":
			return fmt.Errorf("there is a column %skey, the secret of authenticator apps, but no column %s; the import needs key, step, t0, digits and confirmed of django-otp's devices", prefix, prefix+member)
		}
	}
	return nil
}

// read adds the devices in a row to the account.
func (d *devices) read(line int, a *Account, row []string) {
	cell := func(columns map[string]int, member string) string {
		i, ok := columns[member]
		if !ok || row[i] == `\N` {
			return ""
		}
		return row[i]
	}
	if cell(d.hotp, "key") != "" {
		a.leaveOut(line, authenticatorApp+" is", hotpRefused)
	}
	if cell(d.totp, "key") == "" {
		return // a user without a device, in an outer join
	}
	app, err := readDevice(func(member string) string { return cell(d.totp, member) })
	if err != nil {
		a.leaveOut(line, authenticatorApp+" is", err.Error())
		return
	}
	a.takeTOTP(line, app)
}

// maxDrift is how many time steps the clock of an app may differ: a code of one step either way is
// right.
const maxDrift = 1

func readDevice(cell func(member string) string) (app userstore.ImportedTOTP, err error) {
	number := func(member string, none int64) int64 {
		text := cell(member)
		if text == "" && member != "t0" {
			return none
		}
		n, failed := strconv.ParseInt(text, 10, 64)
		if failed != nil && err == nil {
			err = fmt.Errorf("its %s is no number", member)
		}
		return n
	}
	confirmed, failed := parseBool(cell("confirmed"))
	if failed != nil {
		return app, fmt.Errorf("confirmed: %w", failed)
	}
	if !confirmed {
		return app, errors.New("its user never confirmed it")
	}
	t0, drift := number("t0", 0), number("drift", 0)
	step, digits := number("step", 0), number("digits", 0)
	app.LastCounter = number("last_t", -1)
	if err != nil {
		return app, err
	}
	switch {
	case t0 != 0:
		return app, errors.New("its t0 is not 0, so its codes count from another instant than 1970")
	case drift < -maxDrift || drift > maxDrift:
		return app, errors.New("its drift is more than one time step, and codes are right only one step either way")
	case step != int64(int32(step)) || digits != int64(int32(digits)):
		return app, errors.New("its step or its digits are impossible")
	}
	secret, failed := hex.DecodeString(cell("key"))
	if failed != nil {
		return app, errors.New("its key is not hexadecimal")
	}
	app.Key = totp.Key{Secret: secret, Algorithm: "SHA1", Digits: int(digits), Period: int(step)}
	return app, nil
}
