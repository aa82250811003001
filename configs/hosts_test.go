package configs

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/jose"
)

func TestSeveralHostsOfTheDatabase(t *testing.T) {
	kek := "SIGNET_KEYS_ENCRYPTION_KEY=" + jose.NewKEK()
	for _, c := range []struct{ address, shown string }{
		{"postgres://u:hunter2@pg1:5432,pg2:5433,pg3/db?target_session_attrs=read-write&sslpassword=hunter2",
			"postgres://u@/db?host=pg1%2Cpg2%2Cpg3&port=5432%2C5433%2C5432&target_session_attrs=read-write"},
		{"postgres://u:hunter2@pg1:5432,pg2:5433/db", "postgres://u@pg1:5432,pg2:5433/db"},
		{"postgres://u:hunter2@10.0.0.11,10.0.0.12/db?sslmode=disable&connect_timeout=1",
			"postgres://u@10.0.0.11,10.0.0.12/db?connect_timeout=1&sslmode=disable"},
		{"postgres://u:hunter2@[fd00::11]:5432,[fd00::12]/db",
			"postgres://u@/db?host=fd00%3A%3A11%2Cfd00%3A%3A12&port=5432%2C5432"},
		{"postgres:///db?host=pg1,pg2&user=u&password=hunter2", "postgres:///db?host=pg1%2Cpg2&user=u"},
	} {
		got, _, err := Load(Input{Env: []string{kek, "SIGNET_DATABASE_URL=" + c.address}})
		if err != nil {
			t.Errorf("%s: %v", c.address, err)
			continue
		}
		if shown := redactURL(got.DatabaseURL.Reveal()); shown != c.shown {
			t.Errorf("%s is shown as %s, want %s", c.address, shown, c.shown)
		}
	}
	for _, address := range []string{"postgres://u:hunter2@pg1:5432,pg2:x/db", "postgres://u:hunter2@pg1:x,pg2/db", "postgres://u:hunter2@[fd00::11,[fd00::12]/db", "postgres://u:hunter2@pg1,pg2 /db"} {
		_, _, err := Load(Input{Env: []string{kek, "SIGNET_DATABASE_URL=" + address}})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
