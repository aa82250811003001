package server_test

import (
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/signet-id/signet/internal/server"
)

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("no randomness") }

// F-36: a process whose source of randomness fails ends, before it has made an id: it does not go on
// with ids that can be guessed.
func TestF36WithoutRandomnessTheProcessEnds(t *testing.T) {
	if of := os.Getenv("SIGNET_TEST_ENTROPY"); of != "" {
		rand.Reader = broken{}
		switch of {
		case "id":
			os.Stdout.WriteString("made " + server.NewID())
		case "grant":
			id := server.NewGrantID()
			os.Stdout.WriteString("made " + string(id[:]))
		}
		os.Exit(0)
	}
	for _, of := range []string{"id", "grant"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestF36WithoutRandomnessTheProcessEnds$")
		cmd.Env = append(os.Environ(), "SIGNET_TEST_ENTROPY="+of)
		out, err := cmd.Output()
		if exit := (&exec.ExitError{}); !errors.As(err, &exit) || len(out) != 0 {
			t.Errorf("%s: %v, %q", of, err, out)
		}
	}
}
