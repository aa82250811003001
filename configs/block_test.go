package configs

import (
	"errors"
	"strings"
	"testing"
)

// If the limit of a block is not set, it is at least the limit of a network, so that an operator
// who has raised only the network's limit gets that limit. If it is set, it must not be lower.
func TestTheLimitOfABlock(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, test := range map[string]struct {
		env   []string
		want  int
		fault string
	}{
		"default":                 {nil, 1000, ""},
		"the network's is raised": {[]string{"SIGNET_THROTTLE_FAILURES_PER_NETWORK=5000"}, 5000, ""},
		"the network's is off":    {[]string{"SIGNET_THROTTLE_FAILURES_PER_NETWORK=0"}, 1000, ""},
		"off": {
			[]string{"SIGNET_THROTTLE_FAILURES_PER_BLOCK=0", "SIGNET_THROTTLE_FAILURES_PER_NETWORK=5000"}, 0, ""},
		"equal": {[]string{"SIGNET_THROTTLE_FAILURES_PER_BLOCK=100"}, 100, ""},
		"narrower than the network's": {[]string{"SIGNET_THROTTLE_FAILURES_PER_BLOCK=99"}, 0,
			"less than throttle.failures_per_network, 100"},
		"negative": {[]string{"SIGNET_THROTTLE_FAILURES_PER_BLOCK=-1"}, 0, "too small"},
		"too much": {[]string{"SIGNET_THROTTLE_FAILURES_PER_BLOCK=1000001"}, 0, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, err := Load(Input{Env: test.env})
			var e *Error
			switch {
			case test.fault != "":
				if !errors.As(err, &e) || len(e.Faults) != 1 || e.Faults[0].Key != "throttle.failures_per_block" ||
					!strings.Contains(e.Faults[0].Reason, test.fault) {
					t.Errorf("got %v, want %q", err, test.fault)
				}
			case err != nil || c.FailuresPerBlock() != test.want:
				t.Errorf("got %d %v, want %d", c.FailuresPerBlock(), err, test.want)
			}
		})
	}
}
