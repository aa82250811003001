package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the effective configuration, secrets redacted",
		Long: `Show the effective configuration, secrets redacted, with where each value was given.

It is the configuration of the server when it is run with the server's environment
and in its working folder. Long values are cut: with --wide they are whole. What is wrong with it is told as "signet serve" would tell it.`,
		Args: cobra.NoArgs,
		RunE: action(func(context.Context, []string) error {
			c, err := a.load(nil)
			if err != nil {
				return err
			}
			settings := c.Settings()
			if a.asJSON {
				return a.printJSON(settings)
			}
			rows := make([][]string, len(settings))
			for i, s := range settings {
				rows[i] = []string{s.Key, s.Text, s.Source}
			}
			list := a.list(0)
			return list.Write(append([][]string{{"KEY", "VALUE", "FROM"}}, rows...))
		}),
	}
	a.wideFlag(cmd)
	return cmd
}
