package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commands are all commands that there are, as they are found.
func commands(cmd *cobra.Command) (all []*cobra.Command) {
	for _, sub := range cmd.Commands() {
		all = append(append(all, sub), commands(sub)...)
	}
	return all
}

func walked(t *testing.T) []*cobra.Command {
	t.Helper()
	root := (&app{}).root()
	root.InitDefaultHelpCmd()
	all := append(commands(root), root)
	if len(all) < 30 {
		t.Fatalf("only %d commands were found", len(all))
	}
	return all
}

// Whatever a command is misused with, it exits 2, says where to read on, and touches nothing.
func TestMisuseExits2Everywhere(t *testing.T) {
	folder := t.TempDir()
	for _, cmd := range walked(t) {
		path := strings.Fields(cmd.CommandPath())[1:]
		for name, more := range map[string][]string{
			"an unknown flag":       {"--no-such-flag"},
			"an unknown short flag": {"-Z"},
			"a value for --json":    {"--json=perhaps"},
			"too many arguments":    slices.Repeat([]string{"word"}, 40),
			"--config without one":  {"--config"},
		} {
			if name == "too many arguments" &&
				strings.HasSuffix(strings.Fields(cmd.Use + " ")[max(0, len(strings.Fields(cmd.Use))-1)], "…") {
				continue // it takes any number
			}
			var out, errOut bytes.Buffer
			args := append(slices.Clone(path), more...)
			env := []string{"SIGNET_DATA_DIR=" + folder + "/none"}
			if code := run(t.Context(), args, env, strings.NewReader(""), &out, &errOut); code != exitMisused {
				t.Errorf("signet %s with %s exits %d: %s%s", strings.Join(path, " "), name, code, out.String(), errOut.String())
			}
			said := errOut.String()
			if !strings.HasPrefix(said, "signet: ") || !strings.Contains(said, "`signet help") ||
				strings.Count(said, "\n") != 1 || out.Len() > 0 {
				t.Errorf("signet %s with %s says %q", strings.Join(path, " "), name, said+out.String())
			}
		}
	}
}

// What stands for a value in the help is a word for it, and not a type of Go's.
func TestFlagsSayWhatTheyTake(t *testing.T) {
	typeName := regexp.MustCompile(`^(string|stringArray|strings|int|uint|duration|float|value)$`)
	for _, cmd := range walked(t) {
		if slices.Contains(strings.Fields(cmd.CommandPath()), "completion") {
			continue
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if name, usage := pflag.UnquoteUsage(f); typeName.MatchString(name) || usage == "" {
				t.Errorf("%s: --%s takes %q: %s", cmd.CommandPath(), f.Name, name, usage)
			}
		})
	}
}

func TestTheHelpNamesWhatPeopleLookFor(t *testing.T) {
	said := func(args ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		if code := run(t.Context(), args, nil, strings.NewReader(""), &out, &errOut); code != exitOK || errOut.Len() > 0 {
			t.Errorf("signet %q exits %d: %s", args, code, errOut.String())
		}
		return out.String()
	}
	help := said("--help")
	for _, want := range []string{"completion", "--version", "version"} {
		if !strings.Contains(help, want) {
			t.Errorf("the help does not name %s:\n%s", want, help)
		}
	}
	if version := said("version"); said("--version") != version || !strings.HasPrefix(version, "signet ") {
		t.Errorf("--version says another thing than version: %q", said("--version"))
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if script := said("completion", shell); !strings.Contains(script, "signet") {
			t.Errorf("the completion for %s is %.100q", shell, script)
		}
	}
}
