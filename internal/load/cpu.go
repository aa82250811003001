package load

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/procstat"
)

// spent returns what processes and their children have spent on processors, children that ended
// included: PostgreSQL has a process for each connection.
func spent(pids []int) (sum time.Duration, err error) {
	all := map[int]bool{}
	for _, pid := range pids {
		p, err := procstat.Of(pid)
		if err != nil {
			return 0, err
		}
		all[pid] = true
		sum += p.Own + p.Waited
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
		p, err := procstat.Of(pid)
		if err != nil { // it has ended, and is counted by its parent
			continue
		}
		if all[p.Parent] && !all[pid] {
			sum += p.Own
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
	return time.Duration(sum) * procstat.Tick, nil
}
