//go:build linux

package patroni

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Kill kills Patroni and PostgreSQL of a node, as the loss of its machine would. Etcd goes on.
func (c *Cluster) Kill(node string) error { return c.signal(node, syscall.SIGKILL) }

// Freeze stops Patroni and PostgreSQL of a node: connections stay open and nothing answers.
func (c *Cluster) Freeze(node string) error { return c.signal(node, syscall.SIGSTOP) }

// Thaw lets a frozen node go on.
func (c *Cluster) Thaw(node string) error { return c.signal(node, syscall.SIGCONT) }

// Revive starts Patroni, which starts PostgreSQL, on a node that was killed.
func (c *Cluster) Revive(node string) error { return c.begin(node) }

// FreezeSenders stops the processes that send the leader's log to the standbys. Nothing that is
// committed from then on leaves the leader.
func (c *Cluster) FreezeSenders(node string) error {
	processes, err := c.postgres(node)
	if err != nil {
		return err
	}
	stopped := 0
	for _, p := range processes {
		if strings.Contains(p.command, "walsender") {
			if err := syscall.Kill(p.pid, syscall.SIGSTOP); err != nil {
				return err
			}
			stopped++
		}
	}
	if stopped == 0 {
		return fmt.Errorf("%s sends its log to no standby: %v", node, processes)
	}
	return nil
}

// Switchover makes another node the leader, and waits until it is.
func (c *Cluster) Switchover(to string) error {
	from, err := c.Leader()
	if err != nil {
		return err
	}
	if _, err := c.Control("switchover", "signet", "--leader", from, "--candidate", to, "--force"); err != nil {
		return err
	}
	return c.eventually(to+" is the leader", func() error {
		if leader, err := c.Leader(); err != nil || leader != to {
			return fmt.Errorf("the leader is %q: %w", leader, err)
		}
		return nil
	})
}

// Control runs patronictl with the configuration of a node, and returns what it prints.
func (c *Cluster) Control(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	node := Nodes[len(Nodes)-1]
	cmd := exec.CommandContext(ctx, c.programs["patronictl"], append([]string{"-c", c.path(node, "patroni.yml")}, args...)...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = c.dir, c.environment(), c.owner
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("patronictl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// signal sends a signal to Patroni, the postmaster and its children, in this order, so that none
// of them restarts or notices another.
func (c *Cluster) signal(node string, s syscall.Signal) error {
	pid, err := c.patroni(node)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, s); err != nil {
		return fmt.Errorf("Patroni of %s: %w", node, err)
	}
	processes, err := c.postgres(node)
	if err != nil && s != syscall.SIGKILL {
		return err
	}
	for _, p := range processes {
		if err := syscall.Kill(p.pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("PostgreSQL of %s: %w", node, err)
		}
	}
	return nil
}

// patroni returns the process id of a node's Patroni.
func (c *Cluster) patroni(node string) (int, error) {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile(c.path("pid", node)) // the supervisor writes it after the start
		if err == nil {
			return strconv.Atoi(strings.TrimSpace(string(b)))
		}
		if time.Now().After(end) {
			return 0, err
		}
	}
}

type process struct {
	pid     int
	command string
}

// postgres returns the postmaster of a node and its children.
func (c *Cluster) postgres(node string) ([]process, error) {
	b, err := os.ReadFile(c.path(node, "data", "postmaster.pid"))
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	postmaster, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return nil, err
	}
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,args=").Output()
	if err != nil {
		return nil, err
	}
	list := []process{{postmaster, "postmaster"}}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) > 2 && words[1] == strconv.Itoa(postmaster) {
			pid, err := strconv.Atoi(words[0])
			if err != nil {
				return nil, err
			}
			list = append(list, process{pid, strings.Join(words[2:], " ")})
		}
	}
	return list, nil
}
