// Package configs holds Signet's configuration: its keys, their defaults, and the rules that refuse
// combinations which make no sense.
//
//	defaults ── file ── environment ── flags     a later one wins   (load.go)
//	                     │
//	                  Config                     typed, one struct  (config.go, sections in config_*.go)
//	                     │
//	                  Validate                   a table of checks  (validate.go)
//
// Every key has one name. The key `keys.rotation` is the member rotation of the section keys in the
// file, and SIGNET_KEYS_ROTATION in the environment. An unknown key is refused by name: a typing
// error must not silently leave a default in force. Faults are collected, so that one start shows
// all of them.
//
// The comments of Config are the reference. The annotated example file in this folder is generated
// from them, and a test keeps the two equal.
package configs
