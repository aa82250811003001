package load

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"

	"github.com/signet-id/signet/userstore/password"
)

// BareSetup is what the handlers of package bare need.
type BareSetup struct {
	RSA, Ed25519 []byte            // PKCS #8
	Access       map[string]string // the signing inputs of access tokens (RFC 7515 section 5.1), by algorithm
	Refresh      string            // that of a refresh token
	Subject      string            // of the one person
	Email        string
	JWKS         []byte
	JWKSHeader   http.Header
	Argon2       password.Params
	Database     string // a PostgreSQL
	Rows         int
}

// startBare starts the bare handlers, which answer with what Signet has answered.
func (c Config) startBare(
	database string, processes func() ([]int, error), k Keys, like *signet, of *Contender,
) (*Contender, error) {
	s := BareSetup{
		Database: database, Rows: most * sessions, Argon2: password.Default, Subject: like.sub, Email: "asked0@example.com",
		JWKS: like.keySet, JWKSHeader: like.header, Access: map[string]string{},
	}
	s.JWKSHeader.Del("Date") // net/http sets it
	var err error
	if s.RSA, s.Ed25519, err = k.pkcs8(); err != nil {
		return nil, err
	}
	var refresh string
	for _, a := range algorithms {
		body, err := once(of.Flows[a.refresh])
		if err != nil {
			return nil, err
		}
		access, err := member(body, "access_token")
		if err != nil {
			return nil, err
		}
		s.Access[a.alg] = access[:strings.LastIndexByte(access, '.')]
		if refresh, err = member(body, "refresh_token"); err != nil {
			return nil, err
		}
		s.Refresh = refresh[:strings.LastIndexByte(refresh, '.')]
	}
	cmd := exec.Command(c.Bare)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	var started struct {
		Address string `json:"address"`
	}
	p, err := start(c.Dir, "bare", cmd, s, &started)
	if err != nil {
		return nil, err
	}
	return &Contender{Name: bareName, Flows: s.flows(started.Address, k, refresh, like.token[0]), stop: p.stop,
		Processes: func() ([]int, error) {
			pids, err := processes()
			return append(pids, p.cmd.Process.Pid), err
		}}, nil
}

// flows are the scripts of the bare handlers. Ed25519 signs alike each time, so that a refresh
// token of theirs stays as it is.
func (s BareSetup) flows(address string, k Keys, refresh, access string) map[string]Script {
	flows := map[string]Script{
		loginFlow: {address, each(func(n int) Worker {
			body := credentials(fmt.Sprintf("login%d@example.com", n), "")
			return repeats(request("POST", "/login", body, jsonType), k.accessToken(eddsa))
		})},
		keySetFlow: k.keySets(address, "/jwks"),
		userinfoFlow: {address, each(func(int) Worker {
			asked := request("GET", "/userinfo", "", "Authorization: Bearer "+access)
			return repeats(asked, personOf(s.Subject, s.Email))
		})},
	}
	for _, a := range algorithms {
		flows[a.machine] = k.machines(address, "/token/"+a.alg, a.alg)
		flows[a.refresh] = Script{address, each(func(n int) Worker {
			tokens := make([]string, sessions)
			for i := range tokens {
				tokens[i] = refresh
			}
			return k.refreshes(a.alg, tokens, false, func(session int, token string) []byte {
				return request("POST", "/refresh/"+a.alg, fmt.Sprintf(
					"grant_type=refresh_token&client_id=signet&session=%d&refresh_token=%s", n*sessions+session, token), formType)
			})
		})}
	}
	return flows
}

// once asks once, as the last worker of a script, and returns the answer.
func once(s Script) ([]byte, error) {
	c, err := dial(s.Address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	w := s.Workers[len(s.Workers)-1]
	status, body, err := c.ask(w.Request())
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("answered %d: %s", status, body)
	}
	return body, w.Accept(body, true)
}
