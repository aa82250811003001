// Package procstat reads what Linux says of a process in /proc/PID/stat (proc(5)).
package procstat

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Tick is the unit of times in /proc/PID/stat and /proc/stat: sysconf(_SC_CLK_TCK), which is 100 on
// every Linux.
const Tick = time.Second / 100

// Process is what a process has done so far.
type Process struct {
	Parent int           // its id
	Faults int64         // pages that were mapped without reading a disk
	Own    time.Duration // on processors, in user and system mode
	Waited time.Duration // the same of its children that ended
}

// Of returns the numbers of a process.
func Of(pid int) (Process, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Process{}, err
	}
	return parse(text)
}

func parse(text []byte) (p Process, err error) {
	// The second field is the program's name in brackets, which may hold anything.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 15 {
		return p, fmt.Errorf("no line of /proc/PID/stat: %.100q", text)
	}
	var n [6]int64
	for i, field := range []int{1, 7, 11, 12, 13, 14} {
		if n[i], err = strconv.ParseInt(string(fields[field]), 10, 64); err != nil {
			return p, err
		}
	}
	return Process{
		Parent: int(n[0]), Faults: n[1], Own: time.Duration(n[2]+n[3]) * Tick, Waited: time.Duration(n[4]+n[5]) * Tick,
	}, nil
}
