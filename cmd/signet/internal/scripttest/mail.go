package scripttest

import (
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/signet-id/signet/internal/mail/mailtest"
)

// mailServers are the mail servers of the scripts, by script.
var (
	serversMu   sync.Mutex
	mailServers = map[*testscript.TestScript]*mailtest.Server{}
)

func cmdMailServer(ts *testscript.TestScript, _ bool, args []string) {
	serversMu.Lock()
	defer serversMu.Unlock()
	if server := mailServers[ts]; server != nil && len(args) == 1 {
		code, err := strconv.Atoi(args[0])
		ts.Check(err)
		verdicts := mailtest.Verdicts{}
		if code != 250 {
			verdicts.Rcpt = func(string) error { return mailtest.Refuse(code, code/100, 1, 1, "no mail today") }
		}
		server.Set(verdicts)
		return
	}
	server := &mailtest.Server{Implicit: true, User: "ada@example.com", Password: "planted mail password"}
	plant(ts, server.Password)
	end, err := server.Listen()
	ts.Check(err)
	ts.Defer(func() {
		end()
		serversMu.Lock()
		defer serversMu.Unlock()
		delete(mailServers, ts)
	})
	mailServers[ts] = server
	ts.Check(os.WriteFile(ts.MkAbs("password.txt"), []byte(server.Password+"\n"), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), server.PEM, 0o600))
	ts.Setenv("SIGNET_MAIL_SMTP", "smtps://ada%40example.com@localhost:"+server.Port())
}

func cmdLetters(ts *testscript.TestScript, _ bool, args []string) {
	serversMu.Lock()
	server := mailServers[ts]
	serversMu.Unlock()
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	for end := time.Now().Add(time.Minute); len(server.Letters()) < want && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	letters := server.Letters()
	if len(letters) != want {
		ts.Fatalf("%d letters", len(letters))
	}
	if len(args) == 1 {
		return
	}
	found := regexp.MustCompile(args[1]).FindSubmatch(letters[want-1].Data)
	if found == nil {
		ts.Fatalf("the last letter:\n%s", letters[want-1].Data)
	}
	if len(args) > 2 {
		ts.Setenv(args[2], string(found[1]))
	}
}
