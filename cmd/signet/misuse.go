package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/userstore"
)

// misuse is the error of a command line that makes no sense.
type misuse struct{ text string }

func (m *misuse) Error() string { return m.text }

func misusef(format string, args ...any) error { return &misuse{fmt.Sprintf(format, args...)} }

// refusedFields returns the faults of what a command was given as one text, each with the name of its
// field. They are a misuse, unless all of them are in what was read: the fields in read come from files
// or standard input.
func refusedFields(invalid *userstore.ValidationError, name func(field string) string, read ...string) error {
	var parts []string
	given := false
	for _, f := range invalid.Fields {
		parts = append(parts, name(f.Field)+": "+f.Message)
		root, _, _ := strings.Cut(f.Field, ".")
		given = given || !slices.Contains(read, root)
	}
	text := strings.Join(parts, " ")
	if given {
		return &misuse{text}
	}
	return errors.New(text)
}

// helpWith returns the command line that shows the help of cmd.
func helpWith(cmd *cobra.Command) string {
	path := strings.Fields(cmd.CommandPath())
	if path[len(path)-1] == "help" {
		path = path[:1]
	}
	return "`" + strings.Join(slices.Insert(path, 1, "help"), " ") + "`"
}

// explainMisuse returns a misuse as one sentence with a pointer to the help. Of the command line it
// repeats only the names of flags and commands: the rest may be a secret.
func explainMisuse(cmd *cobra.Command, err error) string {
	text := strings.TrimSuffix(strings.TrimSpace(err.Error()), ".")
	if strings.HasSuffix(text, "?") {
		return text + " See " + helpWith(cmd) + "."
	}
	return text + "; see " + helpWith(cmd) + "."
}

var (
	unknownFlag  = regexp.MustCompile(`^unknown flag: (--[^= ]+)`)
	unknownShort = regexp.MustCompile(`^unknown shorthand flag: '(.+)' in`)
	needsValue   = regexp.MustCompile(`^flag needs an argument: .*?(--?[A-Za-z0-9-]+)$`)
	wrongValue   = regexp.MustCompile(`^invalid argument "(?s:.*)" for "(.*)" flag: `)
	wrongCount   = regexp.MustCompile(`^(?:accepts|requires) (?:at most |at least )?(\d+) arg\(s\), (?:only )?received (\d+)$`)
)

// flagError rewrites cobra's error about a flag in our words.
func flagError(_ *cobra.Command, err error) error {
	text := err.Error()
	if m := unknownFlag.FindStringSubmatch(text); m != nil {
		return misusef("there is no flag %s", m[1])
	}
	if m := unknownShort.FindStringSubmatch(text); m != nil {
		return misusef("there is no flag -%s", m[1])
	}
	if m := needsValue.FindStringSubmatch(text); m != nil {
		return misusef("the flag %s needs a value", m[1])
	}
	if m := wrongValue.FindStringSubmatch(text); m != nil {
		what := "what it stands for"
		if strings.Contains(text, "duration") {
			what = "a duration, such as 3s"
		} else if strings.Contains(text, "ParseBool") {
			what = "true or false"
		}
		return misusef("the value of %s is not %s", m[1], what)
	}
	return &misuse{text}
}

// plainArguments rewrites cobra's errors about the number of arguments in our words, for every
// command.
func plainArguments(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		plainArguments(sub)
	}
	check := cmd.Args
	if check == nil {
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil {
			return nil
		}
		if strings.HasPrefix(err.Error(), "unknown command ") { // cobra.NoArgs
			return misusef("%q takes no argument, and %d was given", cmd.CommandPath(), len(args))
		}
		if m := wrongCount.FindStringSubmatch(err.Error()); m != nil {
			return misusef("%q takes %s, and %s given", cmd.CommandPath(), count(atoi(m[1]), "argument"), m[2]+map[bool]string{true: " was", false: " were"}[m[2] == "1"])
		}
		return err
	}
}

func atoi(digits string) (n int) {
	for _, d := range digits {
		n = 10*n + int(d-'0')
	}
	return n
}

// helpCommand is like cobra's help command, except that an unknown topic is a misuse.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Explain a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			topic, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return errors.New("there is no such command to explain")
			}
			topic.InitDefaultHelpFlag()
			return topic.Help()
		},
	}
}
