package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/cmd/signet/internal/terminal"
	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// app has the inputs and outputs of one run of the program.
type app struct {
	env      []string
	in       io.Reader
	out, err io.Writer
	now      func() time.Time

	configFile string
	loaded     *configs.Config // set by the first load
	asJSON     bool
	wide       bool // lists may be wider than a terminal

	serving func(net.Addr) // called once a server listens, in the place of its welcome; nil: nobody waits
}

func (a *app) root() *cobra.Command {
	root := group("signet", "Signs people up, logs them in and issues tokens that anybody can verify",
		a.serveCommand(), a.demoCommand(), a.migrateCommand(), a.usersCommand(), a.clientsCommand(), a.auditCommand(), a.mailCommand(), a.keysCommand(), a.grantsCommand(), a.tokenCommand(), a.doctorCommand(),
		a.backupCommand(), a.restoreCommand(), a.recoverCommand(),
		a.configCommand(), a.healthcheckCommand(), a.versionCommand())
	root.Long = `Signet signs people up, logs them in and issues tokens that anybody can verify.

Without a configuration, "signet serve" runs on http://localhost:8080 and keeps
everything in the folder data. "signet config" shows what is configured.`
	root.SilenceUsage, root.SilenceErrors = true, true
	root.Version = buildVersion().String()
	root.SetVersionTemplate("{{.Version}}\n")
	root.Flags().Bool("version", false, "say which version this is")
	root.SetHelpCommand(helpCommand())
	root.SetOut(a.out) // before InitDefaultCompletionCmd, which keeps it
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" { // without an argument, or with an unknown shell, it is like any group
			c.Short, c.Args, c.RunE = "Print a script by which a shell completes commands", onlyCommands, showHelp
		}
	}
	root.SetFlagErrorFunc(flagError)
	plainArguments(root)
	// A group only runs to report an unknown command, so its usage must not be "keys [flags]".
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "{{if .Runnable}}", "{{if and .Runnable (not .HasAvailableSubCommands)}}", 1))
	root.PersistentFlags().StringVar(&a.configFile, "config", "", "read this configuration `file` (default: "+configs.DefaultFile+" in the working folder, if there is one)")
	root.PersistentFlags().BoolVar(&a.asJSON, "json", false, "print JSON for programs instead of text for people")
	return root
}

// wideFlag adds --wide to a command that prints a list.
func (a *app) wideFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.wide, "wide", false, "print everything there is, however wide")
}

// group returns a command that only holds other commands. Without an argument it lists them, and an
// unknown command is a misuse.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: onlyCommands, RunE: showHelp}
	g.SuggestionsMinimumDistance = 2
	g.AddCommand(commands...)
	return g
}

// onlyCommands checks the arguments of a command that only holds others.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if holdsToken(args[0]) {
		return errors.New("this looks like a token and not like a command; `signet token inspect` reads one from standard input")
	}
	text := fmt.Sprintf("there is no command %q", cmd.CommandPath()+" "+args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += fmt.Sprintf("; did you mean %q?", cmd.CommandPath()+" "+near[0])
	}
	return errors.New(text)
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// action wraps a command's body. The operator is the actor of its audit entries, and its errors are
// failures, unless they are misuses.
func action(body func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := body(audit.WithOrigin(cmd.Context(), operator()), args)
		var m *misuse
		var f *failure
		if err == nil || errors.As(err, &m) || errors.As(err, &f) {
			return err
		}
		return &failure{cause: err}
	}
}

// load reads the configuration once: a pipe cannot be read a second time, and warnings should not
// be repeated. flags are the command's flags that set keys of the configuration.
func (a *app) load(flags map[string]string) (configs.Config, error) {
	if a.loaded != nil {
		return *a.loaded, nil
	}
	c, warnings, err := configs.Load(configs.Input{File: a.configFile, Env: a.env, Flags: flags})
	for _, w := range warnings {
		fmt.Fprintln(a.err, "signet: WARNING: "+w)
	}
	if err == nil {
		a.loaded = &c
	}
	return c, err
}

// store opens the configured database for a command. It never makes a database: a wrong folder must
// not look like an empty installation.
func (a *app) store(ctx context.Context) (configs.Config, *sqlstore.DB, error) {
	c, err := a.load(nil)
	if err != nil {
		return c, nil, err
	}
	db, err := a.open(ctx, c, c.Database(), sqlstore.Options{MaxConns: 2, MustExist: true})
	if errors.Is(err, sqlstore.ErrNoDatabase) {
		return c, nil, fmt.Errorf("there is no database at %s; run this in the server's working folder or with its configuration, or make one with `signet serve` or `signet migrate up`", c.Database())
	}
	if err != nil {
		return c, nil, err
	}
	if err := db.CheckSchema(ctx); err != nil {
		db.Close()
		return c, nil, err
	}
	return c, db, nil
}

// open opens a database of the configuration. The driver's own error is logged at level debug, in
// addition to our one sentence.
func (a *app) open(ctx context.Context, c configs.Config, database string, o sqlstore.Options) (*sqlstore.DB, error) {
	db, err := sqlstore.Open(ctx, database, o)
	var u *sqlstore.UnreachableError
	if errors.As(err, &u) {
		log, lines := a.logger(c)
		log.Debug("the database cannot be reached", "cause", u.Cause.Error())
		lines.flush()
	}
	return db, err
}

// printJSON writes one JSON document.
func (a *app) printJSON(v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := a.out.Write(printable.JSON(text.Bytes()))
	return err
}

// isTerminal reports whether a reader or writer of the app is a terminal.
func isTerminal(stream any) bool {
	if o, wrapped := stream.(*output); wrapped {
		stream = o.Writer
	}
	return terminal.Is(stream)
}

// rfc3339 formats a time for programs; nil stands for the zero time.
func rfc3339(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.RFC3339Nano)
	return &s
}
