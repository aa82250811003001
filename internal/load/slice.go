package load

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/signet-id/signet/internal/procstat"
)

// A Script says what is asked of a contender in one flow.
type Script struct {
	Address string
	Workers []Worker // one for each connection; they keep what they need from one slice to the next
}

// A Worker has one connection and at most one request under way.
type Worker struct {
	Request func() []byte
	// Accept judges the body of an answer whose status was 200. sample: closely, signatures
	// included.
	Accept func(body []byte, sample bool) error
}

// sampleOf: the answer to the first request of a worker in each slice is judged closely, and each
// of so many after it.
const sampleOf = 50

// Measure is what one slice came to.
type Measure struct {
	Rate   float64       // answers in a second
	CPU    time.Duration // of the contender's processes, for each answer
	Others float64       // the share of the machine's processors that programs outside of the run used
}

// measure lets the first connections of a script ask for d. An answer that is not what it should be
// ends the run: nothing else would be as fast as a refusal.
func (s Script) measure(connections int, d time.Duration, pids []int) (m Measure, err error) {
	conns := make([]*conn, connections)
	for n := range conns {
		if conns[n], err = dial(s.Address); err != nil {
			return m, err
		}
		defer conns[n].Close()
	}
	pids = append([]int{os.Getpid()}, pids...)
	before, err := meter(pids)
	if err != nil {
		return m, err
	}
	begin := time.Now()
	answers := make([]int, connections)
	errs := make([]error, connections)
	var all sync.WaitGroup
	for n := range conns {
		all.Go(func() { answers[n], errs[n] = s.Workers[n].work(conns[n], begin.Add(d)) })
	}
	all.Wait()
	took := time.Since(begin)
	after, err := meter(pids)
	if err := errors.Join(append(errs, err)...); err != nil {
		return m, err
	}
	sum := 0
	for _, n := range answers {
		sum += n
	}
	ours := after.own - before.own + after.contender - before.contender
	m.Rate = float64(sum) / took.Seconds()
	m.CPU = (after.contender - before.contender) / time.Duration(sum)
	m.Others = max(0, (after.machine-before.machine-ours).Seconds()/took.Seconds()/float64(runtime.NumCPU()))
	return m, nil
}

// work asks until the end, and returns how many answers there were. It finishes what it has begun.
func (w Worker) work(c *conn, end time.Time) (answers int, err error) {
	for ; answers == 0 || time.Now().Before(end); answers++ {
		status, body, err := c.ask(w.Request())
		if err != nil {
			return answers, err
		}
		if status != 200 {
			return answers, fmt.Errorf("answered %d: %.500s", status, body)
		}
		if err := w.Accept(body, answers%sampleOf == 0); err != nil {
			return answers, fmt.Errorf("%w: %.500s", err, body)
		}
	}
	return answers, nil
}

// meters are readings of clocks of processor time.
type meters struct{ own, contender, machine time.Duration }

// meter reads them; the first process is our own.
func meter(pids []int) (m meters, err error) {
	own, err := procstat.Of(pids[0])
	if err != nil {
		return m, err
	}
	m.own = own.Own
	if m.contender, err = spent(pids[1:]); err != nil {
		return m, err
	}
	m.machine, err = busy()
	return m, err
}
