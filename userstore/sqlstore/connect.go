package sqlstore

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// hostLimit bounds the attempt at one host of an address with several, so that a call finds the
// host that answers, behind a frozen one, within callLimit.
const hostLimit = 2 * time.Second

// hosts knows which host of an address with several took the last connection. The next connection
// tries it first: after a failover, a frozen host that comes first in the address would otherwise
// delay every new connection by hostLimit.
type hosts struct {
	last     atomic.Pointer[string] // its IP address and port
	resolved sync.Map               // the IP addresses of each name as last looked up: string → []string
}

// errNoCancel is the answer to the driver when it wants to cancel the statement of a connection that
// it gives up.
var errNoCancel = errors.New("a statement that was given up is ended by the server's own limits")

// configure prepares every connection of the pool.
func (h *hosts) configure(config *pgxpool.Config) {
	if several(config.ConnConfig) {
		config.ConnConfig.ConnectTimeout = min(config.ConnConfig.ConnectTimeout, hostLimit)
	}
	before := config.BeforeConnect
	config.BeforeConnect = func(ctx context.Context, c *pgx.ConnConfig) error {
		h.order(c)
		h.prepare(c)
		return before(ctx, c)
	}
}

// prepare makes the settings of one connection report its host, and keep it from cancelling.
//
// A commit that waits for a synchronous standby must not be cancelled: PostgreSQL then shows it to
// everybody although no standby has it, and the repeated request would be answered by what a
// failover may lose. Everything else that may take long has the server's limits: see limits.
func (h *hosts) prepare(c *pgx.ConnConfig) {
	var connected atomic.Bool // from then on, the driver dials only to cancel
	dial, validate, lookup := c.DialFunc, c.ValidateConnect, c.LookupFunc
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if connected.Load() {
			return nil, errNoCancel
		}
		return dial(ctx, network, address)
	}
	c.LookupFunc = func(ctx context.Context, host string) ([]string, error) {
		ctx, cancel := context.WithTimeout(ctx, callLimit) // the pool's context has no deadline
		defer cancel()
		list, err := lookup(ctx, host)
		if err == nil {
			h.resolved.Store(host, list)
		}
		return list, err
	}
	c.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if err := validate(ctx, conn); err != nil {
			return err
		}
		connected.Store(true)
		address := conn.Conn().RemoteAddr().String()
		h.last.Store(&address)
		return nil
	}
}

// order puts the host that took the last connection first. The others keep their order.
func (h *hosts) order(c *pgx.ConnConfig) {
	last := h.last.Load()
	if last == nil || len(c.Fallbacks) == 0 {
		return
	}
	var first, others []*pgconn.FallbackConfig
	for _, host := range all(c) {
		if h.at(host, *last) {
			first = append(first, host)
		} else {
			others = append(others, host)
		}
	}
	if len(first) == 0 {
		return
	}
	list := append(first, others...)
	c.Host, c.Port, c.TLSConfig, c.Fallbacks = list[0].Host, list[0].Port, list[0].TLSConfig, list[1:]
}

// at reports whether a host was at an address when it was last looked up.
func (h *hosts) at(host *pgconn.FallbackConfig, address string) bool {
	list, _ := h.resolved.Load(host.Host)
	ips, _ := list.([]string)
	for _, ip := range ips {
		if net.JoinHostPort(ip, strconv.Itoa(int(host.Port))) == address {
			return true
		}
	}
	return false
}

// all lists the hosts in the order in which they are tried. A host repeats with and without TLS.
func all(c *pgx.ConnConfig) []*pgconn.FallbackConfig {
	first := &pgconn.FallbackConfig{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}
	return append([]*pgconn.FallbackConfig{first}, c.Fallbacks...)
}

// several reports whether c has more than one host.
func several(c *pgx.ConnConfig) bool {
	for _, host := range c.Fallbacks {
		if host.Host != c.Host || host.Port != c.Port {
			return true
		}
	}
	return false
}
