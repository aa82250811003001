// Command signet runs the issuer, and has the commands of an operator.
//
//	main.go       arguments in, exit code out: 0 ok, 1 failed, 2 misused
//	command.go    what all commands share: configuration, tables and --json, errors
//	serve.go      the composition root: configuration → store → keys → accounts → issuer → api → http.Server
//	…             one file per command group
//
// This is the only package that reads the clock, the environment and the signals of the process; it
// passes them on to all other packages. Commands use the store directly, so they work while a
// server runs and while it is down.
package main
