package doctor

import (
	"encoding/xml"
	"fmt"
)

// Verdict is the result of a check.
type Verdict string

// The verdicts. A failure is a bad token that got in, a good one that was refused, or something that
// strangers can misuse. A warning is something that the standards allow or leave open, and that will
// hurt; it does not fail the examination.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning"
	Failed  Verdict = "failed"
	Skipped Verdict = "skipped" // another check's failure left nothing to look at
)

// Check is one thing that was looked at.
type Check struct {
	ID       string  `json:"id"`       // stable
	Sent     string  `json:"sent"`     // what was sent or asked for
	Expected string  `json:"expected"` // what a good answer is
	Answered string  `json:"answered"`
	Verdict  Verdict `json:"verdict"`
	Why      string  `json:"why"` // why it matters, with the standard's section
}

// Report is the result of an examination.
type Report struct {
	Kind    string  `json:"kind"` // issuer or resource server
	Subject string  `json:"subject"`
	Checks  []Check `json:"checks"`
}

// Count returns how many checks have a verdict.
func (r *Report) Count(v Verdict) (n int) {
	for _, c := range r.Checks {
		if c.Verdict == v {
			n++
		}
	}
	return n
}

// Passed reports whether nothing failed.
func (r *Report) Passed() bool { return r.Count(Failed) == 0 && r.Count(Skipped) == 0 }

// Summary returns the score in one sentence.
func (r *Report) Summary() string {
	text := fmt.Sprintf("%d of %d checks passed", r.Count(OK), len(r.Checks))
	for _, v := range []Verdict{Warning, Failed, Skipped} {
		if n := r.Count(v); n > 0 {
			text += fmt.Sprintf(", %d %s", n, map[Verdict]string{Warning: "with a warning", Failed: "failed",
				Skipped: "skipped"}[v])
		}
	}
	return text + "."
}

// longestAnswer is how much of an answer a report repeats, in characters: a server may send a megabyte.
const longestAnswer = 300

func (r *Report) add(c Check) {
	if text := []rune(c.Answered); len(text) > longestAnswer {
		c.Answered = string(text[:longestAnswer]) + "…"
	}
	r.Checks = append(r.Checks, c)
}

// The elements of a JUnit file, as CI systems read it.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Failure *junitFailure `xml:"failure"`
		Skipped *junitSkipped `xml:"skipped"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
)

// JUnit returns the report as a JUnit XML file.
func (r *Report) JUnit() ([]byte, error) {
	suite := junitSuite{Name: "signet doctor " + r.Subject, Tests: len(r.Checks), Failures: r.Count(Failed),
		Skipped: r.Count(Skipped)}
	for _, c := range r.Checks {
		text := fmt.Sprintf("sent: %s\nexpected: %s\nanswered: %s\nwhy: %s\n", c.Sent, c.Expected, c.Answered, c.Why)
		one := junitCase{Class: "signet.doctor." + r.Kind, Name: c.ID}
		switch c.Verdict {
		case Failed:
			one.Failure = &junitFailure{Message: "expected " + c.Expected + ", got " + c.Answered, Text: text}
		case Skipped:
			one.Skipped = &junitSkipped{Message: c.Answered}
		case Warning:
			one.Out = "warning\n" + text
		}
		suite.Cases = append(suite.Cases, one)
	}
	body, err := xml.MarshalIndent(suite, "", "  ")
	return append([]byte(xml.Header), append(body, '\n')...), err
}
