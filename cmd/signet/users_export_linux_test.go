package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// Hashes are shown on a terminal only with --yes.
func TestExportToATerminal(t *testing.T) {
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	env := []string{"SIGNET_DATABASE_URL=" + sqltest.SQLitePath(t)}
	var errOut bytes.Buffer
	if code := run(context.Background(), []string{"users", "export"}, env, strings.NewReader(""), tty,
		&errOut); code != exitMisused ||
		!strings.Contains(errOut.String(), "give --output FILE, or --yes") {
		t.Errorf("code %d: %s", code, &errOut)
	}
	if code := run(context.Background(), []string{"users", "export", "--yes"}, env, strings.NewReader(""), tty,
		&errOut); code != exitOK {
		t.Errorf("with --yes: code %d: %s", code, &errOut)
	}
}
