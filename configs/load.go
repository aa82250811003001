package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"
	"strings"
	"syscall"

	"github.com/spf13/viper"
)

// Input has the sources of a configuration.
type Input struct {
	File  string            // --config; empty: DefaultFile if that file exists
	Env   []string          // NAME=value, as os.Environ returns them
	Flags map[string]string // key → text, for the flags that are set
}

// DefaultFile is read from the working folder if no file is named.
const DefaultFile = "signet.yaml"

// Fault is one thing wrong with the configuration.
type Fault struct {
	Key    string // keys.rotation; empty: the file as a whole
	Where  string // the source of the value: a variable, a flag or a file; empty: a default
	Reason string // what is wrong and what to do
}

func (f Fault) String() string {
	switch {
	case f.Key == "":
		return f.Where + ": " + f.Reason
	case f.Where == "":
		return f.Key + ": " + f.Reason
	}
	return f.Key + " (" + f.Where + "): " + f.Reason
}

// Error is the error of Load. It holds every fault that was found, at least one.
type Error struct{ Faults []Fault }

func (e *Error) Error() string {
	if len(e.Faults) == 1 {
		return "the configuration has a fault: " + e.Faults[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the configuration has %d faults:", len(e.Faults))
	for _, f := range e.Faults {
		b.WriteString("\n  " + f.String())
	}
	return b.String()
}

// Load reads, merges and validates the sources. warnings are for the operator. The error is an
// *Error with all faults. Neither repeats a secret.
func Load(in Input) (c Config, warnings []string, err error) {
	l := loader{v: viper.New(), c: Default(), sources: map[string]string{}}
	for _, f := range fields {
		l.v.SetDefault(f.key, f.of(&l.c).Interface())
	}
	l.readFile(in.File)
	l.readEnv(in.Env)
	l.readFlags(in.Flags)
	l.c.sources = l.sources
	l.decode()
	l.readSecretFiles()
	l.faults = append(l.faults, l.c.check(l.broken)...)
	if len(l.faults) > 0 {
		return Config{}, l.warnings, &Error{Faults: l.faults}
	}
	return l.c, l.warnings, nil
}

// Given returns where each key is given, without judging the values: a command that cannot use a key
// says so before anything else.
func Given(in Input) map[string]string {
	l := loader{v: viper.New(), c: Default(), sources: map[string]string{}}
	l.readFile(in.File)
	l.readEnv(in.Env)
	l.readFlags(in.Flags)
	return l.sources
}

// loader is the state of one Load. Viper layers the sources; the later layer wins.
type loader struct {
	v        *viper.Viper
	c        Config
	sources  map[string]string // key → the source of its value
	broken   map[string]bool   // keys with a reported fault; no check runs on them again
	faults   []Fault
	warnings []string
}

// verbatim hides a value of the file from viper, which folds the case of names even inside lists.
type verbatim struct{ value any }

func (l *loader) fault(key, where, format string, args ...any) {
	if l.broken == nil {
		l.broken = map[string]bool{}
	}
	l.broken[key] = true
	l.faults = append(l.faults, Fault{Key: key, Where: where, Reason: fmt.Sprintf(format, args...)})
}

// readFile merges the file. It decodes the document before viper gets it, because viper folds the
// case of names: of two names that differ only in case it would take either.
func (l *loader) readFile(path string) {
	if path == "" {
		if _, err := os.Stat(DefaultFile); errors.Is(err, fs.ErrNotExist) {
			return
		}
		path = DefaultFile
	}
	text, err := ReadSmallFile(path)
	if err != nil {
		l.fault("", path, "%s", FileReason(err))
		return
	}
	if !l.checkYAML(path, text) {
		return
	}
	yaml, err := viper.NewCodecRegistry().Decoder("yaml")
	if err != nil {
		l.fault("", path, "cannot be read: %v", err)
		return
	}
	document := map[string]any{}
	if err := yaml.Decode(text, document); err != nil {
		l.fault("", path, "is not a YAML document of keys and values: %s", yamlReason(err))
		return
	}
	known := map[string]any{}
	l.walk(path, "", document, known)
	if err := l.v.MergeConfigMap(known); err != nil {
		l.fault("", path, "cannot be merged: %v", err)
	}
	for _, f := range fields {
		if f.isSecret() && l.sources[f.key] == path {
			l.warnAboutFile(path, "it holds "+f.key)
			break
		}
	}
}

// walk copies the known keys of a section into known, under their full names, and reports the rest.
func (l *loader) walk(path, prefix string, section, known map[string]any) {
	names := make([]string, 0, len(section))
	for name := range section {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		key, value := prefix+name, section[name]
		if _, ok := fieldByKey[key]; ok {
			if _, twice := known[key]; twice {
				l.fault(key, path, "is given twice, as a section and with a dot; keep one")
				continue
			}
			if value == nil {
				l.fault(key, path, "is empty; give a value or remove it")
				continue
			}
			known[key] = verbatim{value}
			l.sources[key] = path
			continue
		}
		if isSection(key) {
			switch inner := value.(type) {
			case map[string]any:
				l.walk(path, key+".", inner, known)
			case nil:
			default:
				l.fault(key, path, "is a section; write its keys below it, such as %s", firstKeyOf(key))
			}
			continue
		}
		l.fault(key, path, "%s", unknownReason(key, func(f field) string { return f.key }))
	}
}

// readEnv merges the variables that start with SIGNET_.
func (l *loader) readEnv(env []string) {
	byName := map[string]field{}
	for _, f := range fields {
		byName[f.env()] = f
	}
	seen := map[string]bool{}
	for i := len(env) - 1; i >= 0; i-- { // of two with one name the last counts, as in a shell
		name, value, _ := strings.Cut(env[i], "=")
		if !strings.HasPrefix(name, EnvPrefix) || seen[name] {
			continue
		}
		seen[name] = true
		if f, ok := byName[name]; ok {
			// A newline at the end comes from the file that a shell or an orchestrator read.
			l.v.Set(f.key, strings.TrimRight(value, "\r\n"))
			l.sources[f.key] = name
			continue
		}
		if fromKubernetes(name, value) || foreignVariables[name] {
			continue
		}
		key := strings.ToLower(strings.TrimPrefix(name, EnvPrefix))
		l.fault(name, "environment", "%s", unknownReason(key, field.env))
	}
	sortFaults(l.faults)
}

func (l *loader) readFlags(flags map[string]string) {
	for key, value := range flags {
		l.v.Set(key, value)
		l.sources[key] = "--" + strings.NewReplacer(".", "-", "_", "-").Replace(key)
	}
}

// decode fills Config from the merged layers.
func (l *loader) decode() {
	for _, f := range fields {
		where, given := l.sources[f.key]
		if !given {
			continue
		}
		value := l.v.Get(f.key)
		if v, ok := value.(verbatim); ok {
			value = v.value
		}
		target := f.of(&l.c)
		if text, ok := value.(string); ok && isSecretKey(f.key) {
			value = strings.TrimRight(strings.TrimPrefix(text, string(bom)), "\r\n") // as for a secret file
		}
		if isSecretKey(f.key) && value == "" {
			l.fault(f.key, where, "is set to the empty text; give a value or remove it")
			continue
		}
		if err := decodeInto(target, value); err != nil {
			l.c.replaceByDefault(f.key)
			l.fault(f.key, where, "%v", err)
		}
	}
}

// isSecretKey reports whether key is a secret or the file of a secret. An empty one is always an
// accident (a variable that should have been filled in), and must not select the embedded default.
func isSecretKey(key string) bool {
	f, ok := fieldByKey[strings.TrimSuffix(key, "_file")]
	return ok && f.isSecret()
}

// readSecretFiles sets each secret whose key …_file names a file.
func (l *loader) readSecretFiles() {
	for _, f := range fields {
		name, isFile := strings.CutSuffix(f.key, "_file")
		target, ok := fieldByKey[name]
		if !isFile || !ok {
			continue
		}
		path, where := f.of(&l.c).String(), l.sources[f.key]
		if path == "" {
			continue
		}
		if l.sources[name] != "" {
			l.fault(f.key, where, "is given together with %s (%s); keep one", name, l.sources[name])
			continue
		}
		text, err := ReadSmallFile(path)
		if err != nil {
			l.fault(f.key, where, "%s: %s", path, FileReason(err))
			continue
		}
		secret := strings.TrimRight(string(text), "\r\n")
		if secret == "" {
			l.fault(f.key, where, "%s is empty; put the secret into it", path)
			continue
		}
		if strings.HasPrefix(name, "database_") && !isPostgres(secret) {
			// The content is not shown, because it may be another secret.
			l.fault(f.key, where, "%s does not hold a postgres:// URL; put one into it, or give the path of an SQLite file, which is no secret, as %s", path, name)
			continue
		}
		l.warnAboutFile(path, "it is "+f.key)
		target.of(&l.c).SetString(secret)
		l.sources[name] = path
	}
}

// warnAboutFile warns about a secret file that others can read, or that is a link and so may be
// another file tomorrow. It only warns: both are usual where an orchestrator mounts secrets.
func (l *loader) warnAboutFile(path, why string) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return // a shell's <(command) is a link to a pipe
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		l.warnings = append(l.warnings, fmt.Sprintf("%s is a symbolic link (%s); make sure that nobody else can change where it points", path, why))
	}
	if info, err := os.Stat(path); err == nil && openToOthers(info.Mode().Perm(), ownerOf(info), os.Geteuid()) {
		l.warnings = append(l.warnings, fmt.Sprintf("%s can be read by others (%s, mode %04o); run: chmod 600 %s", path, why, info.Mode().Perm(), path))
	}
}

// openToOthers reports whether others than the server's user can reach a file. An orchestrator gives
// a secret to its service as a file of root that the service's group may read (Kubernetes with an
// fsGroup, systemd with an access list): there the mode of the group is the way of the server itself.
func openToOthers(mode fs.FileMode, owner, us int) bool {
	if owner != us {
		mode &^= 0o040
	}
	return mode&0o077 != 0
}

// ownerOf returns the user whose file it is, or -1 if the system does not say.
func ownerOf(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}

// yamlReason returns the text of a YAML error with its line numbers, but without quotes from the
// document, which may be secrets.
func yamlReason(err error) string {
	text := strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")
	text = strings.TrimPrefix(text, "unmarshal errors: ")
	if i := strings.Index(text, "cannot unmarshal"); i >= 0 {
		text = text[:i] + "not what belongs here"
	}
	return text
}

// sortFaults sorts the faults of the environment by name, after the faults of the file.
func sortFaults(faults []Fault) {
	sort.SliceStable(faults, func(i, j int) bool {
		a, b := faults[i], faults[j]
		if (a.Where == "environment") != (b.Where == "environment") {
			return a.Where != "environment"
		}
		return a.Where == "environment" && a.Key < b.Key
	})
}
