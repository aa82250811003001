//go:build linux

package patroni

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// findPrograms finds the programs beside PostgreSQL's.
func findPrograms() (map[string]string, error) {
	const ours = "make interop installs it in a folder of its own"
	found := map[string]string{}
	for name, source := range map[string]string{
		"etcd":       "on Debian: apt-get install --no-install-recommends etcd-server",
		"haproxy":    "on Debian: apt-get install --no-install-recommends haproxy",
		"patroni":    ours,
		"patronictl": ours,
	} {
		path, err := exec.LookPath(name)
		if err != nil {
			path = "/usr/sbin/" + name
			if _, err := os.Stat(path); err != nil {
				return nil, fmt.Errorf("%s is missing; %s", name, source)
			}
		}
		found[name] = path
	}
	return found, nil
}

// checkVersion refuses a Patroni older than 3.0.3: its frozen leader takes its place back when it
// wakes up, over the leader that replaced it, and what that one acknowledged is lost.
func checkVersion(patroni string) error {
	out, err := exec.Command(patroni, "--version").Output()
	if err != nil {
		return fmt.Errorf("%s --version: %w", patroni, err)
	}
	version := strings.TrimSpace(strings.TrimPrefix(string(out), "patroni "))
	if !keepsLeader(version) {
		return fmt.Errorf("%s is Patroni %s; 3.0.3 or later is needed, and make interop installs one", patroni, version)
	}
	return nil
}

// keepsLeader tells whether a version is 3.0.3 or later.
func keepsLeader(version string) bool {
	least := []int{3, 0, 3}
	for i, part := range strings.SplitN(version, ".", len(least)) {
		n, err := strconv.Atoi(part)
		if err != nil {
			return false
		}
		if n != least[i] {
			return n > least[i]
		}
	}
	return strings.Count(version, ".") >= len(least)-1
}
