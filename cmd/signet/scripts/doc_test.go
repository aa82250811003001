// Package scripts_test runs the program as its users do, in the scripts in testdata. It has no code, and it
// is a package of its own only so that no package takes too long.
package scripts_test
