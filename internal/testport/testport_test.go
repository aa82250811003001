package testport

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

func portOf(t *testing.T, address string) int {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	n, err2 := strconv.Atoi(port)
	if err != nil || err2 != nil || host != "127.0.0.1" {
		t.Fatalf("%q is no address of this machine", address)
	}
	return n
}

func TestALentAddressCanBeListenedOnAndIsLentOnce(t *testing.T) {
	from, to := systemRange()
	seen := make(map[int]bool)
	for range 200 {
		address := Address(t)
		port := portOf(t, address)
		if seen[port] {
			t.Fatalf("%d was lent twice", port)
		}
		seen[port] = true
		if len(candidates(from, to)) < highest-lowest+1 && port >= from && port <= to {
			t.Errorf("%d is one that the system chooses by itself (%d to %d)", port, from, to)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatalf("a lent address is in use: %v", err)
		}
		l.Close()
		if _, err := take(port); err == nil {
			t.Fatalf("%d was lent again while its test runs", port)
		}
	}
}

func TestAPortIsFreeAgainAfterItsTest(t *testing.T) {
	var port int
	t.Run("borrower", func(t *testing.T) { port = portOf(t, Address(t)) })
	lease, err := take(port)
	if err != nil {
		t.Fatalf("still held: %v", err)
	}
	lease.Close()
}

// Another test binary is another process. If it is killed, it cannot give its ports back by itself.
func TestAnotherProcessHoldsItsPortsUntilItsEnd(t *testing.T) {
	if os.Getenv("SIGNET_TESTPORT_CHILD") != "" {
		os.Stdout.WriteString(Address(t) + "\n")
		time.Sleep(time.Hour)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestAnotherProcessHoldsItsPortsUntilItsEnd$")
	child.Env = append(os.Environ(), "SIGNET_TESTPORT_CHILD=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	port := portOf(t, strings.TrimSpace(line))
	if _, err := take(port); err == nil {
		t.Errorf("%d was lent here although another process has it", port)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	lease, err := take(port)
	if err != nil {
		t.Fatalf("the port of a killed process is held still: %v", err)
	}
	lease.Close()
}

func TestAPortThatIsListenedOnIsNotLent(t *testing.T) {
	for _, on := range []struct{ network, address string }{
		{"tcp4", "127.0.0.1:0"}, {"tcp4", "0.0.0.0:0"}, {"tcp", ":0"}, {"tcp6", "[::1]:0"}, {"tcp6", "[::]:0"},
	} {
		t.Run(on.network+" "+on.address, func(t *testing.T) {
			l, err := net.Listen(on.network, on.address)
			if err != nil {
				t.Logf("this machine has no such address, so that no program can listen there: %v", err)
				return
			}
			defer l.Close()
			if _, err := take(l.Addr().(*net.TCPAddr).Port); err == nil {
				t.Error("lent although a program listens there")
			}
		})
	}
}

func TestCandidatesAvoidWhatTheSystemChoosesFrom(t *testing.T) {
	for _, c := range []struct {
		name           string
		from, to       int
		inside, absent int
	}{
		{"Linux", 32768, 60999, 11000, 32768},
		{"macOS", 49152, 65535, 49151, 49152},
		{"a wide range that leaves the low ports", 15000, 64999, 14999, 15000},
		{"a range that leaves the high ports", 1024, 60000, 60001, 60000},
		{"all of them", 1024, 65535, 40000, 10080},
	} {
		got := make(map[int]bool)
		for _, p := range candidates(c.from, c.to) {
			got[p] = true
		}
		if !got[c.inside] || got[c.absent] || len(got) < 1000 {
			t.Errorf("%s: %d ports; %d is in: %t; %d is in: %t", c.name, len(got), c.inside, got[c.inside], c.absent,
				got[c.absent])
		}
	}
}

func TestWhenNothingIsFreeTheErrorSaysSo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, _, err := lend([]int{l.Addr().(*net.TCPAddr).Port}); err == nil ||
		!strings.Contains(err.Error(), "none of 1 ports") {
		t.Errorf("got %v", err)
	}
}
