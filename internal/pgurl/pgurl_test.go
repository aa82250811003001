package pgurl_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/internal/pgurl"
)

func TestPlain(t *testing.T) {
	for _, c := range []struct{ address, places, user, password, database string }{
		{"postgres://u@%2Fsocket%2Fdir/db", "/socket/dir:5432", "u", "", "db"},
		{"postgresql://u@%2fsocket%2fdir/db", "/socket/dir:5432", "u", "", "db"},
		{"postgres://%2Fsocket/db?user=u", "/socket:5432", "u", "", "db"},
		{"postgres://u:p%40%2Fw@%2Fsocket:5433/db?sslmode=disable", "/socket:5433", "u", "p@/w", "db"},
		{"postgres://u:p@%2Fsocket%20dir?dbname=db", "/socket dir:5432", "u", "p", "db"},
		{"postgres://u@%2Fa,%2Fb:6000/db", "/a:5432 /b:6000", "u", "", "db"},
		{"postgres://u@%2Fa,[::1]:6000,c.example/db?sslmode=disable", "/a:5432 ::1:6000 c.example:5432", "u", "", "db"},
		{"postgres://u:p@[fd00::11]:6000,[fd00::12]/db?sslmode=disable", "fd00::11:6000 fd00::12:5432", "u", "p", "db"},
		{"postgres://u:p@a.example:6000,[fd00::12],c.example/db?sslmode=disable", "a.example:6000 fd00::12:5432 c.example:5432", "u", "p", "db"},
		{"postgres://u:p@a.example:6000,b.example:6001,c.example/db?sslmode=disable", "a.example:6000 b.example:6001 c.example:5432", "u", "p", "db"},
		{"postgres://u:p@a.example,b.example:6000/db?target_session_attrs=read-write", "a.example:5432 b.example:6000", "u", "p", "db"},
	} {
		config, err := pgx.ParseConfig(pgurl.Plain(c.address))
		if err != nil {
			t.Errorf("%s became %s: %v", c.address, pgurl.Plain(c.address), err)
			continue
		}
		places := []string{fmt.Sprintf("%s:%d", config.Host, config.Port)}
		for _, f := range config.Fallbacks {
			if place := fmt.Sprintf("%s:%d", f.Host, f.Port); place != places[len(places)-1] {
				places = append(places, place)
			}
		}
		if got := strings.Join(places, " "); got != c.places || config.User != c.user || config.Password != c.password ||
			config.Database != c.database {
			t.Errorf("%s: %s as %s/%s in %s", c.address, got, config.User, config.Password, config.Database)
		}
		if again := pgurl.Plain(pgurl.Plain(c.address)); again != pgurl.Plain(c.address) {
			t.Errorf("%s changes again: %s", c.address, again)
		}
	}
	// Everything else stays as it is.
	for _, address := range []string{
		"", "data/signet.db", "file:%2Fx", "postgres://", "postgres://u:p%2Fw@host/db",
		"postgres://u@host:5433/db?host=/socket",
		"postgres://u@[::1]:5432/db", "postgres://u@/db?host=%2Fsocket", "mysql://u@%2Fsocket/db",
		"postgres://u@%2Fsocket/db#x", "postgres://u@[%2F/db",
		"postgres://u@%2Fa%zz/db", "postgres://u@a:x,b:2,c/db", "postgres://u@a:70000,b/db", "postgres://u@a:1,b:2/db", "postgres://u@[::1,[::2]/db",
	} {
		if got := pgurl.Plain(address); got != address {
			t.Errorf("%s became %s", address, got)
		}
	}
}
