package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// A first start that is stopped at any point says that it was stopped. It does not blame the store,
// and the next start goes on from there.
func TestStoppedDuringTheFirstStart(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"sqlite", "postgres"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			said := 0
			for n := range 24 {
				env := []string{"SIGNET_DATA_DIR=" + t.TempDir(), "SIGNET_LISTEN=127.0.0.1:0", "SIGNET_METRICS_LISTEN=",
					"SIGNET_HTTP_DRAIN_NOTICE=0s", "SIGNET_LOG_LEVEL=error"}
				if store == "postgres" {
					env = append(env, "SIGNET_DATABASE_URL="+pgtest.URL(t), "SIGNET_KEYS_ENCRYPTION_KEY="+keystest.KEK)
				}
				ctx, stop := context.WithCancelCause(t.Context())
				cause := errTerminated
				if n%2 == 1 {
					cause = errInterrupted
				}
				time.AfterFunc(time.Duration(n)*10*time.Millisecond, func() { stop(cause) })
				var out, errOut bytes.Buffer
				code := run(ctx, []string{"serve", "--migrate"}, env, strings.NewReader(""), &out, &errOut)
				stop(nil)
				by := map[error]string{errTerminated: "SIGTERM", errInterrupted: "SIGINT"}[cause]
				switch {
				case code == exitOK: // the server had begun to serve
				case code == exitFailed && strings.TrimSpace(errOut.String()) == "signet: it was stopped by "+by+
					" before it was done; run it again, and it goes on from there.":
					said++
				default:
					t.Errorf("stopped after %d ms: exit %d\n%s", n*10, code, &errOut)
				}
			}
			if said == 0 {
				t.Error("it was never stopped before it served")
			}
			t.Logf("stopped %d times before it served", said)
		})
	}
}
