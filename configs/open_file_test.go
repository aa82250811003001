package configs

import (
	"io/fs"
	"os"
	"testing"
)

// O-01: which secret files bring a warning, by mode and owner.
func TestO01WhichFilesAreOpenToOthers(t *testing.T) {
	const us, root, system = 65532, 0, -1
	for _, row := range []struct {
		name  string
		mode  fs.FileMode
		owner int
		want  bool
	}{
		{"ours, private", 0o600, us, false},
		{"ours, read-only", 0o400, us, false},
		{"ours, and our group reads it", 0o640, us, true},
		{"ours, and everybody reads it", 0o644, us, true},
		{"root's, and everybody reads it", 0o444, root, true},
		{"root's, read through our group or an access list", 0o440, root, false},
		{"root's, also written by root", 0o640, root, false},
		{"root's, and our group may change it", 0o460, root, true},
		{"root's, read by others than our group", 0o404, root, true},
		{"the system does not say whose", 0o604, system, true},
	} {
		if got := openToOthers(row.mode, row.owner, us); got != row.want {
			t.Errorf("%s (%04o of %d): %v, want %v", row.name, row.mode, row.owner, got, row.want)
		}
	}
	info, err := os.Stat(write(t, ""))
	if err != nil || ownerOf(info) != os.Geteuid() {
		t.Errorf("the owner of our file is %d: %v", ownerOf(info), err)
	}
}
