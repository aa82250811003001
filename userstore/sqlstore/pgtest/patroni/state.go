//go:build linux

package patroni

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Member is what Patroni says of a node.
type Member struct {
	Name, State, Role string
	Lag               any // bytes; a leader has none
}

var client = &http.Client{Timeout: 3 * time.Second}

// Members returns the nodes of the cluster as the first Patroni that answers sees them.
func (c *Cluster) Members() ([]Member, error) {
	err := errors.New("no Patroni answers")
	for _, node := range Nodes {
		resp, e := client.Get("http://" + c.place.at(documented(node)+":8008") + "/cluster")
		if e != nil {
			err = e
			continue
		}
		var body struct{ Members []Member }
		e = json.NewDecoder(resp.Body).Decode(&body)
		resp.Body.Close()
		if e == nil && len(body.Members) > 0 {
			return body.Members, nil
		}
		err = errors.Join(err, e)
	}
	return nil, err
}

// Leader returns the node that takes writes: Patroni answers 200 to /primary there.
func (c *Cluster) Leader() (string, error) {
	for _, node := range Nodes {
		resp, err := client.Get("http://" + c.place.at(documented(node)+":8008") + "/primary")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return node, nil
		}
	}
	return "", errors.New("no node is the leader")
}

// Synchronous returns the synchronous standby, "" without one.
func (c *Cluster) Synchronous() (string, error) {
	members, err := c.Members()
	for _, m := range members {
		if m.Role == "sync_standby" {
			return m.Name, nil
		}
	}
	return "", err
}

// Whole waits until all three nodes run and the standbys have what the leader has, one of them
// synchronously if that is the mode.
func (c *Cluster) Whole() error {
	return c.eventually("the cluster is whole", func() error {
		leader, err := c.Leader()
		if err != nil {
			return err
		}
		synchronous, err := c.isSynchronous()
		if err != nil {
			return err
		}
		members, err := c.Members()
		if err != nil {
			return err
		}
		leaders, good := 0, 0
		standby := false
		for _, m := range members {
			switch {
			case m.Role == "leader" && m.Name == leader && m.State == "running":
				leaders++
			case m.Lag == float64(0) && (m.State == "running" || m.State == "streaming"):
				good++
				standby = standby || m.Role == "sync_standby"
			}
		}
		if leaders != 1 || good != len(Nodes)-1 || standby != synchronous {
			return fmt.Errorf("%+v", members)
		}
		return nil
	})
}

func (c *Cluster) isSynchronous() (bool, error) {
	err := errors.New("no Patroni answers")
	for _, node := range Nodes {
		resp, e := client.Get("http://" + c.place.at(documented(node)+":8008") + "/config")
		if e != nil {
			err = e
			continue
		}
		var config struct {
			Synchronous bool `json:"synchronous_mode"`
		}
		e = json.NewDecoder(resp.Body).Decode(&config)
		resp.Body.Close()
		if e == nil {
			return config.Synchronous, nil
		}
		err = e
	}
	return false, err
}
