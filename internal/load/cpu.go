package load

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/PID/stat and /proc/stat: sysconf(_SC_CLK_TCK), which is 100 on every
// Linux.
const tick = time.Second / 100

// process is a line of /proc/PID/stat (proc(5)).
type process struct {
	parent int
	own    time.Duration // in user and system mode
	waited time.Duration // the same of its children that ended
}

func readProcess(pid int) (p process, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, err
	}
	return parseProcess(text)
}

func parseProcess(text []byte) (p process, err error) {
	// The second field is the program's name in brackets, which may hold anything.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 15 {
		return p, fmt.Errorf("no line of /proc/PID/stat: %.100q", text)
	}
	var n [5]int64
	for i, field := range []int{1, 11, 12, 13, 14} {
		if n[i], err = strconv.ParseInt(string(fields[field]), 10, 64); err != nil {
			return p, err
		}
	}
	return process{parent: int(n[0]), own: time.Duration(n[1]+n[2]) * tick, waited: time.Duration(n[3]+n[4]) * tick}, nil
}

// spent returns what processes and their children have spent on processors, children that ended
// included: PostgreSQL has a process for each connection.
func spent(pids []int) (sum time.Duration, err error) {
	all := map[int]bool{}
	for _, pid := range pids {
		p, err := readProcess(pid)
		if err != nil {
			return 0, err
		}
		all[pid] = true
		sum += p.own + p.waited
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p, err := readProcess(pid)
		if err != nil { // it has ended, and is counted by its parent
			continue
		}
		if all[p.parent] && !all[pid] {
			sum += p.own
		}
	}
	return sum, nil
}

// busy returns what all processors of the machine have spent on anything.
func busy() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, errors.New("/proc/stat does not begin with the sums of all processors")
	}
	var sum int64
	for _, field := range []int{1, 2, 3, 6, 7, 8} { // user, nice, system, irq, softirq, steal; neither idle nor iowait
		n, err := strconv.ParseInt(fields[field], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}
