package manifests

import (
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// project loads a Compose file as `docker compose` does: against its schema, which knows every
// field, with variables and anchors resolved.
func project(t *testing.T, file string, env ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, file)}, cli.WithEnv(env), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestComposeFilesLoad(t *testing.T) {
	absolute, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"compose.yaml", "configs/compose/replicas.yaml"} {
		t.Run(file, func(t *testing.T) {
			p := project(t, file, "SIGNET_UID=1234", "SIGNET_GID=1235")
			for name, secret := range p.Secrets {
				if filepath.Dir(secret.File) != filepath.Join(absolute, "secrets") {
					t.Errorf("the secret %s lies in %s", name, secret.File)
				}
			}
			for name, s := range p.Services {
				for _, port := range s.Ports {
					if port.HostIP != "127.0.0.1" {
						t.Errorf("%s is published on %q", name, port.HostIP)
					}
				}
				for _, secret := range s.Secrets {
					if _, ok := p.Secrets[secret.Source]; !ok {
						t.Errorf("%s has an unknown secret %s", name, secret.Source)
					}
				}
				if name == "postgres" {
					continue
				}
				if s.User != "1234:1235" || !s.ReadOnly || !reflect.DeepEqual(s.CapDrop, []string{"ALL"}) ||
					!reflect.DeepEqual(s.SecurityOpt, []string{"no-new-privileges:true"}) || s.Privileged {
					t.Errorf("%s is not confined: %q read-only %v %q %q", name, s.User, s.ReadOnly, s.CapDrop, s.SecurityOpt)
				}
				// http.drain_notice is 5s by default, 10s are for what is under way.
				if grace := time.Duration(*s.StopGracePeriod); grace < 17*time.Second {
					t.Errorf("%s is killed after %s", name, grace)
				}
				if s.Build != nil && s.Build.Context != absolute {
					t.Errorf("%s is built of %s", name, s.Build.Context)
				}
			}
		})
	}
}

func TestTheReplicasAreAlike(t *testing.T) {
	p := project(t, "configs/compose/replicas.yaml")
	a, b := p.Services["signet-a"], p.Services["signet-b"]
	b.Name = a.Name
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%+v\n%+v", a, b)
	}
	if len(a.Ports) > 0 {
		t.Error("a replica can be reached past the proxy")
	}
	for _, name := range []string{"signet-a", "signet-b"} {
		if p.Services["proxy"].DependsOn[name].Condition != types.ServiceConditionHealthy {
			t.Errorf("the proxy does not wait for %s", name)
		}
	}
	if networks := p.Services["proxy"].Networks; len(networks) != 2 || len(a.Networks) != 1 {
		t.Error("who is in which network")
	}
	subnet := p.Networks["inside"].Ipam.Config[0].Subnet
	if trusted := *a.Environment["SIGNET_HTTP_TRUSTED_PROXIES"]; trusted != subnet {
		t.Errorf("proxies of %s are trusted, and they are in %s", trusted, subnet)
	}
	if issuer := *a.Environment["SIGNET_ISSUER"]; issuer != "https://localhost:8443" {
		t.Errorf("the issuer is %s", issuer)
	}
	mount := p.Services["proxy"].Volumes[0]
	if filepath.Base(mount.Source) != "haproxy.cfg" || mount.Target != "/usr/local/etc/haproxy/haproxy.cfg" || !mount.ReadOnly {
		t.Errorf("the proxy's configuration: %+v", mount)
	}
}
