package procstat

import (
	"os"
	"testing"
	"time"
)

func TestALineIsRead(t *testing.T) {
	p, err := parse([]byte("4242 (a (strange) name) S 17 1 1 0 -1 4194560 5 6 7 8 150 50 30 20 20 0 1 0 99 1 2 3\n"))
	if err != nil || p != (Process{Parent: 17, Faults: 5, Own: 2 * time.Second, Waited: 500 * time.Millisecond}) {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := parse([]byte("4242 (short) S 17")); err == nil {
		t.Error("half a line is read")
	}
}

func TestThisProcessIsRead(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return // only Linux has it
	}
	p, err := Of(os.Getpid())
	if err != nil || p.Parent != os.Getppid() || p.Faults <= 0 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := Of(1 << 30); err == nil {
		t.Error("a process that does not exist is read")
	}
}
