// Package users_test runs the scripts about `signet users`.
package users_test

import (
	"os"
	"testing"

	"github.com/signet-id/signet/cmd/signet/internal/scripttest"
	"github.com/signet-id/signet/cmd/signet/internal/watch"
)

// TestMain runs four scripts at a time: they often wait for a process.
func TestMain(m *testing.M) { os.Exit(watch.Main(m)) }

func TestScripts(t *testing.T) { scripttest.Run(t, "testdata") }
