package chaos

import "syscall"

// endsWithUs ends a replica when the program that started it is killed.
func endsWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
