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
	in     io.WriteCloser
	log    *os.File
	exited chan struct{}
	once   sync.Once
}

// start starts a program whose log is a file of the folder of the run. into, unless it is nil, gets
// the one line of JSON that the program answers with to the line of setup.
func start(dir, name string, cmd *exec.Cmd, setup, into any) (_ *program, err error) {
	p := &program{cmd: cmd, exited: make(chan struct{})}
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	var out io.Reader
	if into != nil {
		if out, err = cmd.StdoutPipe(); err != nil {
			return nil, err
		}
	}
	if p.log, err = os.Create(filepath.Join(dir, name+".log")); err != nil {
		return nil, err
	}
	cmd.Stderr = p.log
	cmd.SysProcAttr = endsWithUs()
	if err := cmd.Start(); err != nil {
		p.log.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if into != nil {
		err = converse(p.in, out, setup, into)
	}
	go p.wait()
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s did not start: %w\n%s", name, err, p.said())
	}
	return p, nil
}

// converse writes setup as a line of JSON, and reads the one that answers it.
func converse(in io.Writer, out io.Reader, setup, into any) error {
	line, err := json.Marshal(setup)
	if err != nil {
		return err
	}
	if _, err := in.Write(append(line, '\n')); err != nil {
		return err
	}
	answer, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, into)
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
