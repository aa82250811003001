package load

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTheTablesShowMediansAndRatiosOfEachRound(t *testing.T) {
	row := Row{refreshEdDSA, 16}
	measures := func(rates ...float64) (all []Measure) {
		for n, rate := range rates {
			all = append(all, Measure{Rate: rate, CPU: time.Duration(n+1) * 200 * time.Microsecond, Others: 0.1 * float64(n)})
		}
		return all
	}
	results := Results{row: {
		bareName: measures(2000, 1000, 4000), postgresName: measures(1000, 900, 3000), sqliteName: measures(500, 100, 1000),
	}}
	results.add(row, postgresName, Measure{Rate: 1, CPU: 1, Others: 0.5})
	results[row][postgresName] = results[row][postgresName][:3]
	c := Config{Rounds: 3, Slice: time.Second, Rows: regexp.MustCompile("^refresh EdDSA, 16$")}
	var out bytes.Buffer
	if err := report(&out, "A machine", c, nil, results); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"A machine.\nMedians of 3 rounds of 1s. Programs outside of the run used 10 % of the processors in the median slice, " +
			"20 % in one of ten, and 20 % at most.",
		"| refresh EdDSA | 16 | 2,000 (0.40) | 1,000 (0.40) | 500 (0.40) | – |",
		// 0.5, 0.9 and 0.75 are of one moment each; 1,000 ÷ 2,000 would be of two.
		"| refresh EdDSA | 16 | **0.75** 0.50–0.90 (1.00) | **0.25** 0.10–0.25 (1.00) | – | – |",
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("this line is missing:\n%s\nin:\n%s", want, out.String())
		}
	}
}

func TestNumbers(t *testing.T) {
	for f, want := range map[float64]string{5: "5", 999.6: "1,000", 21851: "21,851", 1234567: "1,234,567"} {
		if got := thousands(f); got != want {
			t.Errorf("thousands(%v) is %q", f, got)
		}
	}
	for f, want := range map[float64]string{35.94: "36", 1.349: "1.3", 0.145: "0.14", 0.0163: "0.016", 0: "0"} {
		if got := significant(f); got != want {
			t.Errorf("significant(%v) is %q", f, got)
		}
	}
	if got := quantile([]float64{4, 1, 3, 2}, 0.5); got != 2 {
		t.Errorf("the median of 1, 2, 3, 4 is %v", got)
	}
}

func TestEveryFlowIsARow(t *testing.T) {
	if all := (Config{}).rows(); len(all) != 2*len(flows) {
		t.Errorf("%v", all)
	}
	if some := (Config{Rows: regexp.MustCompile("EdDSA, 1$")}).rows(); len(some) != 2 || some[1] != (Row{refreshEdDSA, 1}) {
		t.Errorf("%v", some)
	}
}

func TestProcessorTimeIsReadFromProc(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return // only Linux has it, and `make load` says so
	}
	before, err := busy()
	if err != nil || before <= 0 {
		t.Fatal(before, err)
	}
	ours, err := spent([]int{os.Getpid()})
	if err != nil || ours < 0 || ours > before {
		t.Errorf("this process has spent %v of %v: %v", ours, before, err)
	}
	if _, err := spent([]int{1 << 30}); err == nil {
		t.Error("a process that does not exist has spent something")
	}
}
