package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// idArguments are the words in a command's Use that stand for an id or an address.
var idArguments = []string{"USER", "CLIENT_ID", "TOKEN_ID", "KID…"}

// takesIDs reports whether a command takes ids as arguments.
func takesIDs(cmd *cobra.Command) bool {
	return slices.ContainsFunc(strings.Fields(cmd.Use), func(word string) bool { return slices.Contains(idArguments, word) })
}

// dashedIDs moves ids that begin with a dash after a "--", so that they are not taken for flags. No
// new id begins with a dash. Older keys and accounts, accounts that were imported with their ids,
// and email addresses may. Flags, and arguments that look like a mistyped flag, stay where they
// are.
func dashedIDs(root *cobra.Command, args []string) []string {
	cmd, rest, err := root.Find(args)
	if err != nil || !takesIDs(cmd) {
		return args
	}
	var flags, positional []string
	found := false
	for i := 0; i < len(rest); i++ {
		arg := rest[i]
		switch f := namedFlag(cmd, arg); {
		case arg == "--":
			positional = append(positional, rest[i+1:]...)
			i = len(rest)
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			positional = append(positional, arg)
		case f == nil && dashedID(arg):
			positional = append(positional, arg)
			found = true
		default:
			flags = append(flags, arg)
			if f != nil && f.NoOptDefVal == "" && !strings.Contains(arg, "=") && i+1 < len(rest) {
				i++
				flags = append(flags, rest[i]) // the flag's value, even if it begins with a dash
			}
		}
	}
	if !found {
		return args
	}
	path := strings.Fields(cmd.CommandPath())[1:]
	return slices.Concat(path, flags, []string{"--"}, positional)
}

// namedFlag returns the flag of cmd that arg names, or nil.
func namedFlag(cmd *cobra.Command, arg string) *pflag.Flag {
	if name, ok := strings.CutPrefix(arg, "--"); ok {
		name, _, _ = strings.Cut(name, "=")
		return cmd.Flag(name)
	}
	if len(arg) == 2 {
		if f := cmd.Flags().ShorthandLookup(arg[1:]); f != nil {
			return f
		}
		return cmd.InheritedFlags().ShorthandLookup(arg[1:])
	}
	return nil
}

var (
	idAfterDash   = regexp.MustCompile(`^-[A-Za-z0-9_][A-Za-z0-9_-]{14,62}$`)
	idAfterDashes = regexp.MustCompile(`^--[A-Za-z0-9_-]{14,62}$`)
)

// dashedID reports whether an argument that begins with a dash is an id or an address, and not a
// mistyped flag. Our flags with one dash have one letter; our flags with two dashes have words in
// lower case.
func dashedID(arg string) bool {
	switch {
	case strings.Contains(arg, "@"):
		return !strings.Contains(arg, "=")
	case idAfterDash.MatchString(arg):
		return true
	case !idAfterDashes.MatchString(arg) || strings.ToLower(arg) == arg:
		return false
	}
	// Ids that this program made have these lengths; other ids have a digit or an underscore.
	return len(arg) == 22 || len(arg) == 43 || strings.ContainsAny(arg, "0123456789_")
}
