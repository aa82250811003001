package load

// A Contender is a server that is measured.
type Contender struct {
	Name      string
	Flows     map[string]Script // by name; what it does not offer is missing
	Processes func() ([]int, error)
	stop      func()
}

// The names of flows.
const (
	machineRS256  = "client_credentials RS256"
	machineEdDSA  = "client_credentials EdDSA"
	refreshRS256  = "refresh RS256"
	refreshEdDSA  = "refresh EdDSA"
	loginFlow     = "login"
	keySetFlow    = "JWKS"
	userinfoFlow  = "userinfo"
	bareName      = "bare handler"
	postgresName  = "Signet, PostgreSQL"
	sqliteName    = "Signet, SQLite"
	nodeName      = "node-oidc-provider"
	host          = "id.example.com" // of every request, whatever the contender's address is
	issuerURL     = "https://" + host
	machineSecret = "a-secret-of-43-characters-as-Signet-makes-them"
	rs256Resource = "https://rs256.example.com"
	eddsaResource = "https://eddsa.example.com"
	personName    = "Augusta Ada King"
)

// flows are all of them, in the order of the table.
var flows = []string{machineRS256, machineEdDSA, refreshRS256, refreshEdDSA, loginFlow, keySetFlow, userinfoFlow}

// resources are the resource servers whose access tokens have an algorithm.
var resources = map[string]string{rs256: rs256Resource, eddsa: eddsaResource}

const (
	most     = 16 // connections
	sessions = 4  // of a worker, so that no two of its refreshes in a row are of one row
)

// each returns a worker for each connection.
func each(make func(n int) Worker) (all []Worker) {
	for n := range most {
		all = append(all, make(n))
	}
	return all
}

// algorithms are those of access tokens, with their flows.
var algorithms = []struct{ alg, machine, refresh string }{
	{rs256, machineRS256, refreshRS256}, {eddsa, machineEdDSA, refreshEdDSA},
}
