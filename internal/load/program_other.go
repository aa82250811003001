//go:build !linux

package load

import "syscall"

func endsWithUs() *syscall.SysProcAttr { return nil }
