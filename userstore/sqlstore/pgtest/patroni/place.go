//go:build linux

package patroni

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"

	highavailability "github.com/signet-id/signet/docs/high-availability"
)

// place is where a cluster listens: the document's addresses become loopback addresses that no
// other cluster has, and a number is added to its ports where a server of the machine holds them.
type place struct {
	network string // 127.X.Y
	add     int
}

var (
	withPort  = regexp.MustCompile(`(10\.0\.0\.1[123]|127\.0\.0\.1):(\d+)`)
	checkPort = regexp.MustCompile(`check port (\d+)`)
)

// documented returns the document's address of a node.
func documented(node string) string { return "10.0.0.1" + strings.TrimPrefix(node, "pg") }

// at returns where the cluster listens instead of an address of the document.
func (p place) at(address string) string {
	host, port, _ := strings.Cut(address, ":")
	n, _ := strconv.Atoi(port)
	return fmt.Sprintf("%s.%s:%d", p.network, host[strings.LastIndexByte(host, '.')+1:], n+p.add)
}

// findPlace tries addresses until all ports are free there.
func findPlace() (place, error) {
	for try := range 200 {
		p := place{network: fmt.Sprintf("127.%d.%d", 1+rand.IntN(250), rand.IntN(250)), add: try / 20 * 1000}
		if p.free() {
			return p, nil
		}
	}
	return place{}, errors.New("no free ports for a cluster on 127.0.0.0/8")
}

func (p place) free() bool {
	addresses := []string{p.at("127.0.0.1:5000")}
	for _, node := range Nodes {
		for _, port := range []string{":2379", ":2380", ":5432", ":8008"} {
			addresses = append(addresses, p.at(documented(node)+port))
		}
	}
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// move replaces the addresses of a configuration file.
func (p place) move(text string) string {
	text = withPort.ReplaceAllStringFunc(text, p.at)
	text = checkPort.ReplaceAllStringFunc(text, func(m string) string {
		n, _ := strconv.Atoi(strings.TrimPrefix(m, "check port "))
		return fmt.Sprintf("check port %d", n+p.add)
	})
	// Whatever the destination, Linux connects from 127.0.0.1 on loopback.
	return strings.ReplaceAll(text, "10.0.0.0/24", "127.0.0.0/8")
}

// file returns a file of the document as a node has it; node is "" for HAProxy.
func (c *Cluster) file(name, node string) (string, error) {
	b, err := highavailability.Files.ReadFile(name)
	if err != nil {
		return "", err
	}
	text := string(b)
	if node != "" {
		text = strings.NewReplacer("NODE", node, "ADDRESS", documented(node),
			"/var/lib/etcd", c.path(node, "etcd"), "/var/lib/postgresql/15/signet", c.path(node, "data"),
			"/var/run/postgresql", c.path(node, "socket"), "/usr/lib/postgresql/15/bin", c.bins).Replace(text)
	}
	return c.place.move(text), nil
}

// prepare writes the configuration files and the scripts that start the programs.
func (c *Cluster) prepare() error {
	files := make(map[string]string)
	for i, node := range Nodes {
		etcd, err := c.file("etcd.yml", node)
		if err != nil {
			return err
		}
		patroni, err := c.file("patroni.yml", node)
		if err != nil {
			return err
		}
		// The tests kill programs and never the machine, so that nothing needs to reach the disk.
		patroni = strings.ReplaceAll(patroni, "max_connections: 200", "max_connections: 200\n        fsync: off")
		files[node+"/etcd.yml"], files[node+"/patroni.yml"] = etcd, patroni
		files[fmt.Sprintf("run/etcd%d", i+1)] = fmt.Sprintf("exec %s --config-file %s\n", c.programs["etcd"], c.path(node, "etcd.yml"))
		files["run/"+node] = fmt.Sprintf("exec %s %s\n", c.programs["patroni"], c.path(node, "patroni.yml"))
	}
	haproxy, err := c.file("haproxy.cfg", "")
	if err != nil {
		return err
	}
	files["haproxy.cfg"] = haproxy
	files["run/haproxy"] = fmt.Sprintf("exec %s -db -f %s\n", c.programs["haproxy"], c.path("haproxy.cfg"))

	own := func(path string) error {
		if c.owner.Credential == nil {
			return nil
		}
		return os.Chown(path, int(c.owner.Credential.Uid), int(c.owner.Credential.Gid))
	}
	for _, folder := range []string{"run", "log", "pid", "pg1", "pg2", "pg3", "pg1/socket", "pg2/socket", "pg3/socket", "pg1/etcd", "pg2/etcd", "pg3/etcd"} {
		if err := os.Mkdir(c.path(folder), 0o700); err != nil {
			return err
		}
		if err := own(c.path(folder)); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(c.path(name), []byte(text), 0o600); err != nil {
			return err
		}
		if err := own(c.path(name)); err != nil {
			return err
		}
	}
	return nil
}
