//go:build !race

package processes_test

const raceMemory = 1
