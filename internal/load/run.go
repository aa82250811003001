package load

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"time"
)

// Config is that of a run.
type Config struct {
	Binary    string         // the program
	Bare      string         // the program of package bare
	Node      string         // Node.js
	NodeDir   string         // the folder of server.mjs, with its modules
	Dir       string         // of databases and logs
	Addresses func() string  // lends an address of the loopback interface
	Database  func() Server  // starts a PostgreSQL whose commits reach the disk
	Rounds    int            // of all rows
	Slice     time.Duration  // of one contender in one row
	Rows      *regexp.Regexp // of names of rows; nil: all
	Out       io.Writer
}

// Server is a PostgreSQL with one empty database.
type Server struct {
	URL       string
	Version   string
	Processes func() ([]int, error)
}

// A Row is a flow with a number of connections.
type Row struct {
	Flow        string
	Connections int
}

func (r Row) String() string { return fmt.Sprintf("%s, %d", r.Flow, r.Connections) }

// rows are those of a run, in the order of the table.
func (c Config) rows() (all []Row) {
	for _, flow := range flows {
		for _, connections := range []int{most, 1} {
			if r := (Row{flow, connections}); c.Rows == nil || c.Rows.MatchString(r.String()) {
				all = append(all, r)
			}
		}
	}
	return all
}

// Results are the measures of each row and contender, one for each round.
type Results map[Row]map[string][]Measure

// Run starts the contenders, measures them in turns and prints the tables. It ends at the first
// answer that is not what it should be.
func Run(ctx context.Context, c Config) error {
	if len(c.rows()) == 0 {
		return fmt.Errorf("no row of the table matches %s", c.Rows)
	}
	contenders, machine, err := c.contenders(ctx)
	for _, one := range contenders {
		defer one.stop()
	}
	if err != nil {
		return err
	}
	results := Results{}
	// Caches, pools and compilers that learn get one round that does not count.
	for round := -1; round < c.Rounds; round++ {
		slice := c.Slice
		if round < 0 {
			slice = min(slice, 300*time.Millisecond)
		}
		for n, row := range c.rows() {
			if err := ctx.Err(); err != nil {
				return err
			}
			for turn := range contenders { // another one begins each time
				one := contenders[(turn+n+round+1)%len(contenders)]
				script, offered := one.Flows[row.Flow]
				if !offered {
					continue
				}
				m, err := one.measure(script, row.Connections, slice)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", one.Name, row, err)
				}
				if round >= 0 {
					results.add(row, one.Name, m)
				}
			}
		}
		if round >= 0 {
			fmt.Fprintf(c.Out, "round %d of %d is done\n", round+1, c.Rounds)
		}
	}
	return report(c.Out, machine, c, contenders, results)
}

func (c *Contender) measure(s Script, connections int, d time.Duration) (Measure, error) {
	pids, err := c.Processes()
	if err != nil {
		return Measure{}, err
	}
	return s.measure(connections, d, pids)
}

func (r Results) add(row Row, name string, m Measure) {
	if r[row] == nil {
		r[row] = map[string][]Measure{}
	}
	r[row][name] = append(r[row][name], m)
}

// contenders starts all of them. The two PostgreSQL servers are one for Signet and one for the bare
// handlers, so that what one of them still has to do is not counted for the other.
func (c Config) contenders(ctx context.Context) (all []*Contender, machine string, err error) {
	k, err := newKeys()
	if err != nil {
		return nil, "", err
	}
	ours, theirs := c.Database(), c.Database()
	postgres, like, err := c.startSignet(ctx, postgresName, ours.URL, ours.Processes, k)
	if err != nil {
		return nil, "", err
	}
	all = append(all, postgres)
	sqlite, _, err := c.startSignet(ctx, sqliteName, "", func() ([]int, error) { return nil, nil }, k)
	if err != nil {
		return all, "", err
	}
	all = append(all, sqlite)
	bare, err := c.startBare(theirs.URL, theirs.Processes, k, like, postgres)
	if err != nil {
		return all, "", err
	}
	all = append(all, bare)
	node, err := c.startNode(k)
	if err != nil {
		return all, "", err
	}
	machine, err = c.machine(ctx, ours.Version)
	return append(all, node), machine, err
}
