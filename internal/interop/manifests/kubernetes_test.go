package manifests

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	network "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const root = "../../.."

var kustomizations = []string{"base", "overlays/example"}

// manifests are the objects of a kustomization.
type manifests struct {
	deployment apps.Deployment
	service    core.Service
	account    core.ServiceAccount
	config     core.ConfigMap
	budget     policy.PodDisruptionBudget
	network    network.NetworkPolicy
	namespace  *core.Namespace
	ingress    *network.Ingress
}

// build runs kustomize and decodes each object strictly.
func build(t *testing.T, folder string) manifests {
	t.Helper()
	path := filepath.Join(root, "configs/kubernetes", folder)
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), path)
	if err != nil {
		t.Fatal(err)
	}
	m := manifests{}
	kinds := map[string]any{
		"apps/v1 Deployment": &m.deployment, "v1 Service": &m.service, "v1 ServiceAccount": &m.account,
		"v1 ConfigMap": &m.config, "policy/v1 PodDisruptionBudget": &m.budget,
		"networking.k8s.io/v1 NetworkPolicy": &m.network,
	}
	if folder != "base" {
		m.namespace, m.ingress = &core.Namespace{}, &network.Ingress{}
		kinds["v1 Namespace"], kinds["networking.k8s.io/v1 Ingress"] = m.namespace, m.ingress
	}
	for _, object := range built.Resources() {
		text, err := object.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		kind := object.GetApiVersion() + " " + object.GetKind()
		into, ok := kinds[kind]
		if !ok {
			t.Fatalf("there is a second %s, or no test knows it", kind)
		}
		delete(kinds, kind)
		if err := yaml.UnmarshalStrict(text, into); err != nil {
			t.Errorf("%s %s: %v", kind, object.GetName(), err)
		}
	}
	for kind := range kinds {
		t.Errorf("there is no %s", kind)
	}
	return m
}

// A misspelt field would be ignored by a server that is not asked to be strict.
func TestUnknownFieldsAreRefused(t *testing.T) {
	var d apps.Deployment
	err := yaml.UnmarshalStrict([]byte("spec: {template: {spec: {terminationGracePeriod: 40}}}"), &d)
	if err == nil || !strings.Contains(err.Error(), "terminationGracePeriod") {
		t.Errorf("not refused: %v", err)
	}
}

func each(t *testing.T, test func(t *testing.T, m manifests)) {
	t.Helper()
	for _, folder := range kustomizations {
		t.Run(folder, func(t *testing.T) { test(t, build(t, folder)) })
	}
}

func TestThePodsAreConfined(t *testing.T) {
	each(t, func(t *testing.T, m manifests) {
		pod := m.deployment.Spec.Template.Spec
		if s := pod.SecurityContext; s == nil || !*s.RunAsNonRoot || *s.RunAsUser != 65532 || *s.RunAsGroup != 65532 ||
			*s.FSGroup != 65532 || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
			t.Errorf("the pod: %+v", s)
		}
		dockerfile := read(t, "Dockerfile")
		if !strings.Contains(dockerfile, "USER 65532:65532") {
			t.Error("the image has another user")
		}
		if *pod.AutomountServiceAccountToken || *m.account.AutomountServiceAccountToken || pod.ServiceAccountName != m.account.Name {
			t.Error("a token of Kubernetes is mounted")
		}
		if pod.HostNetwork || pod.HostPID || pod.HostIPC {
			t.Error("the pod has a namespace of the host")
		}
		for _, c := range containers(m) {
			s := c.SecurityContext
			if s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || s.Privileged != nil ||
				!reflect.DeepEqual(s.Capabilities, &core.Capabilities{Drop: []core.Capability{"ALL"}}) {
				t.Errorf("%s: %+v", c.Name, s)
			}
			if c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() || c.Resources.Limits.Cpu().IsZero() {
				t.Errorf("%s has no limits: %+v", c.Name, c.Resources)
			}
			for _, mount := range c.VolumeMounts {
				if !mount.ReadOnly {
					t.Errorf("%s may write %s", c.Name, mount.MountPath)
				}
			}
		}
	})
}

// The names and numbers that lie in different files belong together.
func TestWhatBelongsTogetherAgrees(t *testing.T) {
	each(t, func(t *testing.T, m manifests) {
		of := m.deployment.Spec.Template.Labels
		for what, selector := range map[string]map[string]string{
			"the Deployment": m.deployment.Spec.Selector.MatchLabels, "the Service": m.service.Spec.Selector,
			"the PodDisruptionBudget": m.budget.Spec.Selector.MatchLabels, "the NetworkPolicy": m.network.Spec.PodSelector.MatchLabels,
			"the first spread":  m.deployment.Spec.Template.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels,
			"the second spread": m.deployment.Spec.Template.Spec.TopologySpreadConstraints[1].LabelSelector.MatchLabels,
		} {
			if len(selector) == 0 {
				t.Errorf("%s selects every pod", what)
			}
			for k, v := range selector {
				if of[k] != v {
					t.Errorf("%s selects %s=%s, and the pods have %q", what, k, v, of[k])
				}
			}
		}
		ports := map[string]int32{}
		for _, p := range server(t, m).Ports {
			ports[p.Name] = p.ContainerPort
		}
		c := load(t, m)
		for name, key := range map[string]string{"http": "listen", "metrics": "metrics.listen"} {
			if address := c.value(t, key); address != fmt.Sprintf(":%d", ports[name]) {
				t.Errorf("%s is %q, and the port %s of the container is %d", key, address, name, ports[name])
			}
		}
		if target := m.service.Spec.Ports[0].TargetPort.String(); ports[target] == 0 {
			t.Errorf("the Service leads to the port %q", target)
		}
		for _, rule := range m.network.Spec.Ingress {
			for _, p := range rule.Ports {
				if ports[p.Port.String()] == 0 {
					t.Errorf("the NetworkPolicy names the port %s", p.Port)
				}
			}
		}
		if m.ingress != nil {
			b := m.ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service
			if b.Name != m.service.Name || b.Port.Name != m.service.Spec.Ports[0].Name {
				t.Errorf("the Ingress leads to %+v", b)
			}
			host := m.ingress.Spec.Rules[0].Host
			if issuer := c.value(t, "issuer"); issuer != "https://"+host || !slices.Contains(m.ingress.Spec.TLS[0].Hosts, host) {
				t.Errorf("the issuer is %s, and the host %s", issuer, host)
			}
			if m.namespace.Name != m.deployment.Namespace {
				t.Errorf("the namespace %s is made, and %s used", m.namespace.Name, m.deployment.Namespace)
			}
		}
	})
}

// No request is lost when a pod ends, and no pod ends that is needed.
func TestPodsEndWithoutLosingRequests(t *testing.T) {
	each(t, func(t *testing.T, m manifests) {
		notice, err := time.ParseDuration(load(t, m).value(t, "http.drain_notice"))
		if err != nil {
			t.Fatal(err)
		}
		c := server(t, m)
		ready := c.ReadinessProbe
		if ready.HTTPGet.Path != "/readyz" || c.LivenessProbe.HTTPGet.Path != "/healthz" || c.StartupProbe.HTTPGet.Path != "/healthz" {
			t.Error("a probe asks for something else")
		}
		noticed := time.Duration(ready.PeriodSeconds*ready.FailureThreshold+ready.TimeoutSeconds) * time.Second
		if notice <= noticed {
			t.Errorf("a pod accepts for %s after it begins to say no, and the probe may need %s", notice, noticed)
		}
		// 10s for what is under way, and a second before and after (cmd/signet/listen.go).
		grace := time.Duration(*m.deployment.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
		if needed := notice + 12*time.Second + noticed; grace < needed {
			t.Errorf("a pod is killed after %s, and may need %s", grace, needed)
		}
		s := m.deployment.Spec.Strategy
		if s.Type != apps.RollingUpdateDeploymentStrategyType || s.RollingUpdate.MaxUnavailable.IntValue() != 0 || s.RollingUpdate.MaxSurge.IntValue() < 1 {
			t.Errorf("the strategy: %+v", s)
		}
		if *m.deployment.Spec.Replicas < 2 || m.budget.Spec.MaxUnavailable.IntValue() != 1 || m.budget.Spec.MinAvailable != nil {
			t.Errorf("%d replicas, of which %s may be away", *m.deployment.Spec.Replicas, m.budget.Spec.MaxUnavailable)
		}
	})
}

// Both commands of the pod find their configuration and their secrets, say what they use, and warn
// of nothing.
func TestTheConfigurationLoads(t *testing.T) {
	each(t, func(t *testing.T, m manifests) {
		c := load(t, m)
		for _, container := range containers(m) {
			if got := container.Args[len(container.Args)-2:]; !slices.Equal(got, []string{"--config", "/etc/signet/signet.yaml"}) {
				t.Errorf("%s: %q", container.Name, container.Args)
			}
		}
		if init := m.deployment.Spec.Template.Spec.InitContainers; len(init) != 1 || !slices.Equal(init[0].Args[:2], []string{"migrate", "up"}) {
			t.Errorf("what migrates: %+v", init)
		}
		if a := server(t, m).Args[0]; a != "serve" {
			t.Errorf("what serves: %s", a)
		}
		for _, key := range []string{"database_url", "keys.encryption_key"} {
			name := strings.TrimPrefix(key, "keys.")
			if v := c[key]; filepath.Base(v.Source) != name {
				t.Errorf("%s comes from %q", key, v.Source)
			}
		}
		// Sizing: the processors of the limit are the hash slots, unless they are given.
		limits := server(t, m).Resources.Limits
		slots, memory := limits.Cpu().Value(), limits.Memory().Value()
		if need := 128<<20 + slots*19<<20*2; memory < need {
			t.Errorf("%d MiB are the limit, and %d hashes may need %d MiB", memory>>20, slots, need>>20)
		}
	})
}

// No file of the kustomizations holds a secret, or is left out by mistake.
func TestSecretsAreElsewhere(t *testing.T) {
	err := filepath.WalkDir(filepath.Join(root, "configs/kubernetes"), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "kind: Secret") || strings.Contains(string(text), "postgres://") {
			t.Errorf("%s has a secret", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func containers(m manifests) []core.Container {
	pod := m.deployment.Spec.Template.Spec
	return slices.Concat(pod.InitContainers, pod.Containers)
}

func server(t *testing.T, m manifests) core.Container {
	t.Helper()
	all := m.deployment.Spec.Template.Spec.Containers
	if len(all) != 1 {
		t.Fatalf("%d containers", len(all))
	}
	return all[0]
}

// setting is what `signet config --json` says of a key.
type setting struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Source string `json:"source"`
}

type settings map[string]setting

func (s settings) value(t *testing.T, key string) string {
	t.Helper()
	v, ok := s[key]
	if !ok {
		t.Fatalf("there is no key %s", key)
	}
	return fmt.Sprint(v.Value)
}

// load gives the real binary what the pod's containers are given: the ConfigMap's file, the Secret's
// files, the variables, and the variables that Kubernetes adds for a Service.
func load(t *testing.T, m manifests) settings {
	t.Helper()
	dir := t.TempDir()
	secret := map[string]string{"database_url": "postgres://signet:x@db.example.com/signet", "encryption_key": newKEK(t)}
	place := map[string]string{} // path in the container → path here
	for _, mount := range server(t, m).VolumeMounts {
		i := slices.IndexFunc(m.deployment.Spec.Template.Spec.Volumes, func(v core.Volume) bool { return v.Name == mount.Name })
		if i < 0 {
			t.Fatalf("there is no volume %s", mount.Name)
		}
		text, ok := "", false
		switch v := m.deployment.Spec.Template.Spec.Volumes[i]; {
		case v.ConfigMap != nil && v.ConfigMap.Name == m.config.Name:
			text, ok = m.config.Data[mount.SubPath]
		case v.Secret != nil && *v.Secret.DefaultMode == 0o440:
			text, ok = secret[mount.SubPath]
		}
		if !ok {
			t.Fatalf("%s has no %q", mount.Name, mount.SubPath)
		}
		place[mount.MountPath] = filepath.Join(dir, filepath.Base(mount.MountPath))
		if err := os.WriteFile(place[mount.MountPath], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range containers(m) {
		if !reflect.DeepEqual(c.Env, server(t, m).Env) || !reflect.DeepEqual(c.VolumeMounts, server(t, m).VolumeMounts) || c.Image != server(t, m).Image {
			t.Errorf("%s is given something else than the server", c.Name)
		}
	}
	cmd := exec.Command(binary(t), "config", "--json", "--config", place["/etc/signet/signet.yaml"])
	cmd.Env = []string{"SIGNET_PORT=tcp://10.0.0.1:80", "SIGNET_PORT_80_TCP=tcp://10.0.0.1:80", "SIGNET_SERVICE_HOST=10.0.0.1",
		"SIGNET_SERVICE_PORT=80", "SIGNET_SERVICE_PORT_HTTP=80"}
	for _, v := range server(t, m).Env {
		if place[v.Value] == "" {
			t.Fatalf("%s=%s is no file of the pod (%q)", v.Name, v.Value, slices.Collect(maps.Keys(place)))
		}
		cmd.Env = append(cmd.Env, v.Name+"="+place[v.Value])
	}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil || said.Len() > 0 {
		t.Fatalf("signet config: %v\n%s", err, &said)
	}
	var list []setting
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatal(err)
	}
	all := settings{}
	for _, one := range list {
		all[one.Key] = one
	}
	return all
}

func newKEK(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(binary(t), "keys", "new-kek").Output()
	words := strings.Fields(string(out))
	if err != nil || len(words) == 0 {
		t.Fatalf("signet keys new-kek: %v: %s", err, out)
	}
	return words[len(words)-1]
}
