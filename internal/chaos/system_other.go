//go:build unix && !linux

package chaos

import "syscall"

func endsWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
