package load

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// program is a process beside this one that ends when its input closes or it is killed.
type program struct {
	cmd    *exec.Cmd
	in     io.Closer
	log    *os.File
	exited chan struct{}
	once   sync.Once
}

// start starts a program whose log is a file of the folder of the run. into, unless it is nil, gets the one line of
// JSON that the program answers with to the line of setup.
func start(dir, name string, cmd *exec.Cmd, setup, into any) (_ *program, err error) {
	p := &program{cmd: cmd, exited: make(chan struct{})}
	if p.log, err = os.Create(filepath.Join(dir, name+".log")); err != nil {
		return nil, err
	}
	cmd.Stderr = p.log
	cmd.SysProcAttr = endsWithUs()
	in, err1 := cmd.StdinPipe()
	var out io.ReadCloser
	if into != nil {
		if out, err = cmd.StdoutPipe(); err != nil {
			return nil, err
		}
	}
	if err1 != nil {
		return nil, err1
	}
	p.in = in
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if into == nil {
		go p.wait()
		return p, nil
	}
	line, err := json.Marshal(setup)
	if err == nil {
		_, err = in.Write(append(line, '\n'))
	}
	var answer []byte
	if err == nil {
		answer, err = bufio.NewReader(out).ReadBytes('\n')
	}
	if err == nil {
		err = json.Unmarshal(answer, into)
	}
	go p.wait()
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s did not start: %w\n%s", name, err, p.said())
	}
	return p, nil
}

func (p *program) wait() {
	_ = p.cmd.Wait()
	close(p.exited)
}

// said is the end of what the program wrote to its log.
func (p *program) said() []byte {
	text, _ := os.ReadFile(p.log.Name())
	return bytes.TrimSpace(text[max(0, len(text)-4000):])
}

// stop ends the program, by force if it does not end by itself.
func (p *program) stop() {
	p.once.Do(func() {
		p.in.Close()
		_ = p.cmd.Process.Signal(os.Interrupt)
		select {
		case <-p.exited:
		case <-time.After(10 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.exited
		}
		p.log.Close()
	})
}
