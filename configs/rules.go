package configs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The rules that the table in validate.go uses stand in files by subject, one for each key or kind of
// value. A rule returns the rest of the sentence "KEY …", or an empty text if the value is valid. This
// file has those for every kind of value.

func notOneOf(value string, allowed ...string) string {
	if slices.Contains(allowed, value) {
		return ""
	}
	return fmt.Sprintf("%q is not one of %s", value, strings.Join(allowed, ", "))
}

func notBetween(n, low, high int) string {
	return rangeFault(n, low, high, strconv.Itoa, "number")
}

func notWithin(d, low, high time.Duration) string {
	return rangeFault(d, low, high, showDuration, "duration")
}

// rangeFault refuses a value that is not from low to high.
func rangeFault[T int | time.Duration](v, low, high T, write func(T) string, what string) string {
	tooFar := "too small"
	switch {
	case v >= low && v <= high:
		return ""
	case v > high && what == "duration":
		tooFar = "too long"
	case v > high:
		tooFar = "too large"
	case what == "duration":
		tooFar = "too short"
	}
	return fmt.Sprintf("%s is %s; give a %s between %s and %s", write(v), tooFar, what, write(low), write(high))
}

// eachOf returns the faults of a list's members in order, and then the members that occur twice.
func eachOf(list []string, wrong func(string) string) []string {
	var faults []string
	for _, v := range list {
		if reason := wrong(v); reason != "" {
			faults = append(faults, reason)
		}
	}
	return append(faults, duplicates(list)...)
}

// duplicates returns a fault for each member that occurs more than once.
func duplicates(list []string) []string {
	var faults []string
	seen := map[string]int{}
	for _, v := range list {
		if seen[v]++; seen[v] == 2 {
			faults = append(faults, fmt.Sprintf("names %s twice; keep one", v))
		}
	}
	return faults
}
