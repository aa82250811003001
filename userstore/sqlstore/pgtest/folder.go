//go:build unix

package pgtest

import (
	"os"
	"syscall"
)

// Folder makes a temporary folder for servers that refuse to run as root, and returns the
// attributes of the processes that own it.
func Folder() (dir string, owner *syscall.SysProcAttr, err error) {
	uid, owner := os.Getuid(), &syscall.SysProcAttr{Setpgid: true}
	if uid == 0 {
		if owner.Credential, err = unprivileged(); err != nil {
			return "", nil, err
		}
		uid = int(owner.Credential.Uid)
	}
	dir, err = makeDir(uid)
	return dir, owner, err
}
