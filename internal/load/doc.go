// Package load measures the real program against what it could be at best and against another provider,
// in turns within one run: `make load`. docs/performance.md says what it came to.
//
//	run.go, report.go   what a run consists of, and what it prints
//	slice.go, conn.go   connections that ask for a while, and read each answer
//	cpu.go              what processes spent, from /proc
//	check.go            which answers count
//	signet.go           the program, on each store
//	node.go, node/      node-oidc-provider, without a database
//	bare.go, bare/      handlers that do nothing but what cannot be avoided
//	keys.go             the keys that all of them sign with
//
// All contenders run from the start to the end and are asked one after the other, each for a second or
// two, time after time. So whatever else the machine does meets all of them, and the ratios of one
// round are of one moment. The clients are this process, on the same processors: what a server's own
// processors spend is measured apart from them.
//
// The package is a tool and no part of the program. It reads the wall clock, because it drives real
// processes.
package load
