// Command signet runs the issuer and everything an operator does beside it.
//
//	main.go       arguments in, exit code out: 0 ok, 1 failed, 2 misused
//	command.go    what all commands share: configuration, tables and --json, errors
//	serve.go      the composition root: configuration → store → keys → accounts → issuer → api → http.Server
//	…             one file per command group
//
// This is the only package that reads the clock, the process's environment and
// its signals; everything below it is given them. Commands talk to the store directly, so they
// work beside a running server and while it is down.
package main
