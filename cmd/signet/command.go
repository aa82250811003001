package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// app is what one run of the program has at hand.
type app struct {
	env      []string
	in       io.Reader
	out, err io.Writer
	now      func() time.Time

	configFile string
	loaded     *configs.Config // by the first load
	asJSON     bool
}

func (a *app) root() *cobra.Command {
	root := group("signet", "Signs people up, logs them in and issues tokens that anybody can verify",
		a.serveCommand(), a.migrateCommand(), a.usersCommand(), a.clientsCommand(), a.auditCommand(), a.mailCommand(), a.keysCommand(), a.tokenCommand(),
		a.configCommand(), a.healthcheckCommand(), a.versionCommand())
	root.Long = `Signet signs people up, logs them in and issues tokens that anybody can verify.

Without a configuration, "signet serve" runs on http://localhost:8080 and keeps
everything in the folder data. "signet config" shows what is configured.`
	root.SilenceUsage, root.SilenceErrors = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetHelpCommand(helpCommand())
	root.SetFlagErrorFunc(flagError)
	plainArguments(root)
	// A group runs only to say that there is no such command: its usage is not "keys [flags]".
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "{{if .Runnable}}", "{{if and .Runnable (not .HasAvailableSubCommands)}}", 1))
	root.PersistentFlags().StringVar(&a.configFile, "config", "", "read this configuration `file` (default: "+configs.DefaultFile+" in the working folder, if there is one)")
	root.PersistentFlags().BoolVar(&a.asJSON, "json", false, "print JSON for programs instead of text for people")
	return root
}

// group is a command that only holds others: alone it shows them, and with a word
// that is none of them it is misused.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		text := fmt.Sprintf("there is no command %q", cmd.CommandPath()+" "+args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			text += fmt.Sprintf("; did you mean %q?", cmd.CommandPath()+" "+near[0])
		}
		return errors.New(text)
	}, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	g.SuggestionsMinimumDistance = 2
	g.AddCommand(commands...)
	return g
}

// action makes a command's body: what it does is the operator's act, and an error of it is a
// failure, unless it is a misuse.
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

// load reads the configuration, once: a pipe can be read no second time, and a
// warning says nothing new then. flags are those of the command that stand for keys.
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

// store opens the configured database for a command. It never makes one: a wrong
// folder must not look like an empty installation.
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

// open opens a database of the configuration. What the driver has to say beyond
// our one sentence is for those who ask for it with log.level=debug.
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

// printJSON writes one document for programs.
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

// terminal tells whether a reader or writer is one, and which.
func terminal(stream any) (fd int, ok bool) {
	if o, watched := stream.(*output); watched {
		stream = o.Writer
	}
	f, isFile := stream.(*os.File)
	if !isFile {
		return 0, false
	}
	return int(f.Fd()), term.IsTerminal(int(f.Fd()))
}

// rfc3339 writes a time for programs; nil when there is none.
func rfc3339(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.RFC3339Nano)
	return &s
}
