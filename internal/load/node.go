package load

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
)

// nodeSetup is what node/server.mjs reads.
type nodeSetup struct {
	Issuer    string            `json:"issuer"`
	JWKS      any               `json:"jwks"`
	Secret    string            `json:"secret"`
	Resources map[string]string `json:"resources"`
	Person    nodePerson        `json:"person"`
	Sessions  int               `json:"sessions"`
}

type nodePerson struct {
	Sub   string `json:"sub"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

// nodeStarted is what node/server.mjs answers.
type nodeStarted struct {
	Address  string              `json:"address"`
	Refresh  map[string][]string `json:"refresh"`
	Userinfo []string            `json:"userinfo"`
}

// startNode starts node-oidc-provider. It has no login of its own to measure: apps bring theirs.
// Its access tokens for userinfo are not signed, and it looks them up.
func (c Config) startNode(k Keys) (*Contender, error) {
	person := nodePerson{Sub: "248289761001-as-long-as-ours", Name: personName, Email: "asked0@example.com"}
	cmd := exec.Command(c.Node, "server.mjs")
	cmd.Dir = c.NodeDir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NODE_ENV=production"}
	var started nodeStarted
	setup := nodeSetup{issuerURL, k.privateJWKS(), machineSecret, resources, person, most * sessions}
	p, err := start(c.Dir, "node", cmd, setup, &started)
	if err != nil {
		return nil, err
	}
	flows := map[string]Script{
		keySetFlow: k.keySets(started.Address, "/jwks"),
		userinfoFlow: {started.Address, each(func(n int) Worker {
			asked := request("GET", "/me", "", "Authorization: Bearer "+started.Userinfo[n])
			return repeats(asked, personOf(person.Sub, person.Email))
		})},
	}
	for _, a := range algorithms {
		flows[a.machine] = k.machines(started.Address, "/token", a.alg)
		flows[a.refresh] = Script{started.Address, each(func(n int) Worker {
			tokens := started.Refresh[a.alg][n*sessions : (n+1)*sessions]
			return k.refreshes(a.alg, tokens, true, func(_ int, token string) []byte {
				return request("POST", "/token", "grant_type=refresh_token&client_id=app&refresh_token="+token, formType)
			})
		})}
	}
	return &Contender{Name: nodeName, Flows: flows, stop: p.stop,
		Processes: func() ([]int, error) { return []int{p.cmd.Process.Pid}, nil }}, nil
}

// nodeVersion is the version of Node.js.
func (c Config) nodeVersion() (string, error) {
	out, err := exec.Command(c.Node, "--version").Output()
	return string(out), err
}

// NodeOf returns the Node.js that the folder of the server has, or else the one that is installed.
func NodeOf(dir string) string {
	if own := filepath.Join(dir, "node_modules", ".bin", "node"); exec.Command(own, "--version").Run() == nil {
		return own
	}
	return "node"
}

// basic is the header of client_secret_basic (RFC 6749 section 2.3.1).
func basic(client, secret string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(client+":"+secret))
}
