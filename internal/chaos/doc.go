// Package chaos runs three replicas of the program under faults and proves afterwards that nothing
// was lost: `make chaos`. docs/reliability.md says what is proved, and what it came to.
//
//	run.go, rotations.go, restarts.go  what a run consists of
//	system.go, replica.go               the processes, and the proxies before and behind each
//	database.go, faults.go              the database, and everything that happens to it and to them
//	prober.go                           how soon replicas answer after their database came back
//	client.go, flow.go, verifiers.go    users, who write a journal of each request and answer
//	check.go, check_keys.go             replays the journals against the database
//
// The package is a tool of tests and no part of the program. It reads the wall clock, because it
// drives real processes whose clocks nothing can move, and it asks PostgreSQL by itself, because
// what judges a store must not use that store.
package chaos
