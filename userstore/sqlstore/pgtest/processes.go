//go:build unix

package pgtest

import (
	"os/exec"
	"strconv"
	"strings"
)

// Processes returns the server's process ids: the postmaster first, then its children.
func (s *Server) Processes() ([]int, error) {
	postmaster, err := s.PID()
	if err != nil {
		return nil, err
	}
	pids := []int{postmaster}
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) == 2 && words[1] == strconv.Itoa(postmaster) {
			pid, err := strconv.Atoi(words[0])
			if err != nil {
				return nil, err
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
