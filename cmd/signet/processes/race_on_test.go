//go:build race

package processes_test

// raceMemory is how many times as much memory a program may take when the race detector watches it
// (five to ten times, says its documentation).
const raceMemory = 5
