// Package configs holds Signet's configuration: what can be set, what it is when
// nothing is said, and which combinations make no sense.
//
//	defaults ── file ── environment ── flags     a later one wins   (load.go)
//	                     │
//	                  Config                     typed, one struct  (config.go)
//	                     │
//	                  Validate                   a table of checks  (validate.go)
//
// Every key has one name: `keys.rotation` in the file is the section keys and in
// it rotation, in the environment it is SIGNET_KEYS_ROTATION. What is not a key is
// refused with its name; a typing error must not silently leave a default in force.
// Faults are collected, so that one start shows all of them.
//
// The comments of Config are the reference. The annotated example file beside
// this source is made from them, and a test holds the two together.
package configs
