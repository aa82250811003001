package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// O-03: the search finds each kind of secret, and a find fails the run.
func TestO03TheSearchFindsWhatIsThere(t *testing.T) {
	Plant("swordfish-swordfish")
	lines := []string{
		`{"msg":"request","password":"swordfish-swordfish"}`,
		`error="token eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZGEifQ.c2ln is bad"`,
		`header=[Bearer c2VjcmV0LXRva2Vu]`,
		`hash=$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA`,
		`-----BEGIN PRIVATE KEY-----`,
		`cannot reach postgres://signet:swordfish@127.0.0.1:5432/signet`,
	}
	dir := t.TempDir()
	t.Setenv(folderVariable, dir)
	t.Setenv(raceVariable, os.Getenv(raceVariable)) // the runs below change both
	for i, line := range lines {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("a line\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := search(planted)
	if err != nil || len(found) != 6 {
		t.Errorf("%d of 6 found: %q %v", len(found), found, err)
	}

	for _, row := range []struct {
		printed string
		want    int
	}{{"a line\n", 0}, {"a line\n" + lines[0] + "\n", 1}} {
		if got := (M{printing(row.printed)}).Run(); got != row.want {
			t.Errorf("a run in which a process prints %q ends with %d", row.printed, got)
		}
	}
}

// printing is a run in which a process prints a text.
type printing string

func (p printing) Run() int {
	if _, err := fmt.Fprint(Stderr(), string(p)); err != nil {
		return 2
	}
	return 0
}
