package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/doctor"
)

// What a stranger's server answered moves no cursor and forges no line.
func TestAnExaminationIsShownAsText(t *testing.T) {
	var out bytes.Buffer
	report := doctor.Report{Kind: "issuer", Subject: "https://id.example.com", Checks: []doctor.Check{
		{ID: "cache", Sent: "x", Expected: "y", Why: "z", Verdict: doctor.OK, Answered: "\x1b[2Jgone"},
		{ID: "issuer", Sent: "x", Expected: "y", Why: "z", Verdict: doctor.Failed, Answered: "\x1b[2Jgone\r\nall is well"},
	}}
	if err := (&app{out: &out}).showExamination(report); err == nil {
		t.Error("a failed check is a failure")
	}
	if got := strings.Count(out.String(), "\ufffd[2Jgone"); got != 3 || strings.ContainsAny(out.String(), "\x1b\r") {
		t.Errorf("%d times: %q", got, out.String())
	}
}
