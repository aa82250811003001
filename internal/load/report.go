package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// columns are the contenders in the order of the table.
var columns = []string{bareName, postgresName, sqliteName, nodeName}

// report prints the two tables.
func report(out io.Writer, machine string, c Config, contenders []*Contender, results Results) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "\n%s.\nMedians of %d rounds of %s.", machine, c.Rounds, c.Slice)
	others := results.others()
	fmt.Fprintf(&b, " Programs outside of the run used %.0f %% of the processors in the median slice, %.0f %% in one of ten, "+
		"and %.0f %% at most.\n", 100*quantile(others, 0.5), 100*quantile(others, 0.9), 100*quantile(others, 1))

	fmt.Fprintf(&b, "\nRequests a second, and in brackets processor time of the server and its database, in ms for each:\n\n")
	line(&b, "flow", "connections", columns...)
	line(&b, "---", "---", slices.Repeat([]string{"---"}, len(columns))...)
	for _, row := range c.rows() {
		var cells []string
		for _, name := range columns {
			cells = append(cells, cell(results[row][name]))
		}
		line(&b, row.Flow, strconv.Itoa(row.Connections), cells...)
	}

	fmt.Fprintf(&b, "\nRatios of the rates, medians over the rounds with the least and the greatest; in brackets those of "+
		"processor time, where less is better:\n\n")
	pairs := [][2]string{{postgresName, bareName}, {sqliteName, bareName}, {postgresName, nodeName}, {sqliteName, nodeName}}
	var heads []string
	for _, p := range pairs {
		heads = append(heads, strings.TrimPrefix(p[0], "Signet, ")+" ÷ "+strings.TrimSuffix(p[1], "-oidc-provider"))
	}
	line(&b, "flow", "connections", heads...)
	line(&b, "---", "---", slices.Repeat([]string{"---"}, len(heads))...)
	for _, row := range c.rows() {
		var cells []string
		for _, p := range pairs {
			cells = append(cells, ratio(results[row][p[0]], results[row][p[1]]))
		}
		line(&b, row.Flow, strconv.Itoa(row.Connections), cells...)
	}
	_, err := out.Write(b.Bytes())
	return err
}

// line writes a row of a table.
func line(b *bytes.Buffer, flow, connections string, cells ...string) {
	fmt.Fprintf(b, "| %s | %s | %s |\n", flow, connections, strings.Join(cells, " | "))
}

// cell is the medians of a contender in a row.
func cell(of []Measure) string {
	if len(of) == 0 {
		return "–"
	}
	var rates, cpu []float64
	for _, m := range of {
		rates, cpu = append(rates, m.Rate), append(cpu, m.CPU.Seconds()*1000)
	}
	return fmt.Sprintf("%s (%s)", thousands(quantile(rates, 0.5)), significant(quantile(cpu, 0.5)))
}

// ratio compares two contenders round by round.
func ratio(ours, theirs []Measure) string {
	if len(ours) == 0 || len(ours) != len(theirs) {
		return "–"
	}
	var rates, cpu []float64
	for n := range ours {
		rates = append(rates, ours[n].Rate/theirs[n].Rate)
		cpu = append(cpu, ours[n].CPU.Seconds()/theirs[n].CPU.Seconds())
	}
	return fmt.Sprintf("**%.2f** %.2f–%.2f (%.2f)",
		quantile(rates, 0.5), quantile(rates, 0), quantile(rates, 1), quantile(cpu, 0.5))
}

func (r Results) others() (all []float64) {
	for _, row := range r {
		for _, measures := range row {
			for _, m := range measures {
				all = append(all, m.Others)
			}
		}
	}
	return all
}

// quantile is the smallest value that a share q of the values does not exceed.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// thousands writes a rate with a comma between thousands.
func thousands(f float64) string {
	text := strconv.FormatFloat(f, 'f', 0, 64)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// significant writes a number with two digits that count, or all before the point.
func significant(f float64) string {
	digits := 0
	if f > 0 {
		digits = max(0, 1-int(math.Floor(math.Log10(f))))
	}
	return strconv.FormatFloat(f, 'f', digits, 64)
}

// machine describes what a run was made on, without its name.
func (c Config) machine(ctx context.Context, postgres string) (string, error) {
	version, err := c.version(ctx)
	if err != nil {
		return "", err
	}
	node, err := c.nodeVersion()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(c.NodeDir, "node_modules", "oidc-provider", "package.json"))
	if err != nil {
		return "", err
	}
	var module struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(text, &module); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: %d processors (%s), %s, Linux %s. Signet %s, %s, PostgreSQL %s, Node.js %s, oidc-provider %s",
		time.Now().UTC().Format("2 January 2006"), runtime.NumCPU(), found("/proc/cpuinfo", "model name"), memory(),
		firstLine("/proc/sys/kernel/osrelease"), version, runtime.Version(), postgres,
		strings.TrimPrefix(strings.TrimSpace(node), "v"), module.Version), nil
}

// found returns the value of a line of a file of /proc.
func found(path, name string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "of an unknown kind"
}

func memory() string {
	kib, err := strconv.ParseFloat(strings.TrimSuffix(found("/proc/meminfo", "MemTotal"), " kB"), 64)
	if err != nil {
		return "memory unknown"
	}
	return fmt.Sprintf("%.0f GiB of memory", kib/(1<<20))
}

func firstLine(path string) string {
	text, _ := os.ReadFile(path)
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
