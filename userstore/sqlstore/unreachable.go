package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/signet-id/signet/userstore"
)

// UnreachableError says that no connection to PostgreSQL could be made, to which address, and what
// to check, in one sentence without the password. Cause is the driver's error, for a log; it has
// several lines when the driver tried several addresses.
type UnreachableError struct {
	Where  string // host:port, or the path of a socket
	Reason string
	Cause  error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("PostgreSQL at %s cannot be reached: %s", e.Where, e.Reason)
}

func (e *UnreachableError) Unwrap() []error { return []error{userstore.ErrUnavailable, e.Cause} }

// unreachable explains an error of connecting; it returns nil for any other error.
func unreachable(err error) *UnreachableError {
	c, ok := errors.AsType[*pgconn.ConnectError](err)
	if !ok {
		return nil
	}
	return &UnreachableError{Where: places(c.Config), Reason: whyUnreachable(c), Cause: err}
}

// places names the addresses that were tried: every host of the URL once.
func places(c *pgconn.Config) string {
	name := func(host string, port uint16) string {
		if strings.HasPrefix(host, "/") {
			return fmt.Sprintf("%s/.s.PGSQL.%d", host, port)
		}
		return net.JoinHostPort(host, fmt.Sprint(port))
	}
	list := []string{name(c.Host, c.Port)}
	for _, f := range c.Fallbacks { // these repeat a host, with and without TLS
		if n := name(f.Host, f.Port); n != list[len(list)-1] {
			list = append(list, n)
		}
	}
	return strings.Join(list, " or ")
}

func whyUnreachable(c *pgconn.ConnectError) string {
	user, database := fmt.Sprintf("%q", c.Config.User), fmt.Sprintf("%q", c.Config.Database)
	if pg, ok := errors.AsType[*pgconn.PgError](c); ok {
		switch pg.Code {
		case "28P01":
			return "it refuses the password of the user " + user + "; check user and password in database_url"
		case "28000":
			return "it does not let the user " + user + " in (" + oneLine(pg.Message) + "); check database_url and the server's pg_hba.conf"
		case "3D000":
			return "it has no database " + database + "; make it, or name another one in database_url"
		case "53300":
			return "it has no connection left; raise its max_connections, or lower pool_max_conns in database_url"
		case "57P03":
			return "it is starting up or shutting down; try again in a moment"
		}
		return oneLine(pg.Message) + " (" + pg.Code + ")"
	}
	dns, unknownHost := errors.AsType[*net.DNSError](c)
	text := c.Error()
	switch {
	case unknownHost:
		return "the name " + dns.Name + " cannot be resolved; check the host in database_url"
	case errors.Is(c, syscall.ECONNREFUSED):
		return "nothing listens there; check that PostgreSQL runs, and host and port in database_url"
	case errors.Is(c, syscall.ENOENT):
		return "there is no such socket; check that PostgreSQL runs, and the host in database_url"
	case errors.Is(c, context.DeadlineExceeded) || os.IsTimeout(c) || pgconn.Timeout(c):
		return "no answer in time; check host and port in database_url, and the network between"
	case errors.Is(c, pgconn.ErrReadOnlyConnection):
		return "it takes no writes; name the primary in database_url"
	case strings.Contains(text, "refused TLS"):
		return "it does not speak TLS, which sslmode in database_url asks for; turn TLS on at the server"
	case strings.Contains(text, "tls:") || strings.Contains(text, "x509:"):
		return "the TLS handshake failed (" + innermost(c) + "); check sslmode and sslrootcert in database_url"
	}
	return innermost(c) + "; check host and port in database_url, and that PostgreSQL runs there"
}

// innermost returns the text of the innermost cause, without the addresses around it.
func innermost(err error) string {
	for {
		var next error
		switch e := err.(type) { //nolint:errorlint // this loop unwraps by itself
		case interface{ Unwrap() error }:
			next = e.Unwrap()
		case interface{ Unwrap() []error }:
			if all := e.Unwrap(); len(all) > 0 {
				next = all[0]
			}
		}
		if next == nil {
			return oneLine(err.Error())
		}
		err = next
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
