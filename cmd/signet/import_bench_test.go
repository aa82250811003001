package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// BenchmarkImportDjango imports 100,000 users of Django. Then it imports the same file once more,
// when all of them exist already. The target is under 20 s on SQLite.
func BenchmarkImportDjango(b *testing.B) {
	const users = 100_000
	var text strings.Builder
	text.WriteString(
		"id,password,last_login,is_superuser,username,first_name,last_name,email,is_staff,is_active,date_joined\n")
	for i := range users {
		fmt.Fprintf(&text,
			"%d,pbkdf2_sha256$1000000$X5bboRGfCBiupJkOUhgsaN$NLSh6bqtAI8YeN1qkzhWbKNkqf+6XH+zCKss0O6tNlA=,2024-05-06 07:08:09.123456+00,f,user%d,First%d,Last,user%d@example.com,f,t,2012-01-02 03:04:05+00\n",
			i, i, i, i)
	}
	file := filepath.Join(b.TempDir(), "auth_user.csv")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	for name, url := range map[string]func() string{
		"sqlite":   func() string { return sqltest.SQLitePath(b) },
		"postgres": func() string { return sqltest.PostgresURL(b) },
	} {
		b.Run(name, func(b *testing.B) {
			load := func(env []string, want string) {
				var out, errOut bytes.Buffer
				if code := run(context.Background(), []string{"users", "import", file}, env, strings.NewReader(""), &out,
					&errOut); code != exitOK || !strings.HasPrefix(out.String(), want) {
					b.Fatalf("code %d: %s%s", code, &out, &errOut)
				}
			}
			for range b.N {
				env := []string{"SIGNET_DATABASE_URL=" + url(),
					"SIGNET_KEYS_ENCRYPTION_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}
				load(env, "100000 imported")
				b.StopTimer()
				first := b.Elapsed()
				b.StartTimer()
				load(env, "0 imported, 100000 there already")
				b.StopTimer()
				b.ReportMetric(first.Seconds(), "first-s")
				b.ReportMetric((b.Elapsed() - first).Seconds(), "again-s")
				b.StartTimer()
			}
		})
	}
}
