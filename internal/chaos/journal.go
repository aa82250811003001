package chaos

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Kind says at which end of a request a record was written.
type Kind string

const (
	Ask  Kind = "ask"  // before the request
	Got  Kind = "got"  // after its answer
	Lost Kind = "lost" // after the connection ended, or the client gave up, without an answer
)

// Act is what a client does, in one request or in several that are the same.
type Act string

const (
	SignUp       Act = "signup"
	Login        Act = "login"
	Authorize    Act = "authorize"
	LoginPage    Act = "login page"
	LoginForm    Act = "login form"
	ConsentPage  Act = "consent page"
	ConsentForm  Act = "consent"
	Exchange     Act = "code"
	Refresh      Act = "refresh"
	FirstRefresh Act = "first-party refresh"
	UserInfo     Act = "userinfo"
	Introspect   Act = "introspect"
	Revoke       Act = "revoke"
	Password     Act = "password"
	KeyRotation  Act = "keys rotate"
	KeyRevoking  Act = "keys revoke"
)

// Want is what must come of an act.
type Want string

const (
	Granted Want = ""
	Refused Want = "refused" // the client knows that it has no right to it: a probe
)

// Record is a line of a journal. Secrets stand in it as digests only. Tries of one act have the same
// client and number.
type Record struct {
	At      int64  `json:"t"` // microseconds since 1970
	Client  int    `json:"c"`
	Number  int64  `json:"n"`
	Try     int    `json:"y,omitempty"`
	Kind    Kind   `json:"k"`
	Act     Act    `json:"a"`
	Want    Want   `json:"w,omitempty"`
	Replica int    `json:"r"`
	Status  int    `json:"s,omitempty"`
	Code    string `json:"e,omitempty"`  // of a refusal, or why the answer was lost
	Retry   bool   `json:"ra,omitempty"` // the answer has a Retry-After
	User    string `json:"u,omitempty"`  // email
	App     string `json:"p,omitempty"`  // client_id
	Version int    `json:"v,omitempty"`  // of the user's password
	Key     string `json:"kid,omitempty"`
	In      string `json:"in,omitempty"`  // digest of the code or refresh token that was sent
	Out     string `json:"out,omitempty"` // digest of the code or refresh token that was answered
	Grant   string `json:"g,omitempty"`   // id of the grant of In or Out
	Gen     int64  `json:"gen,omitempty"` // generation of the refresh token that was sent
	OutGen  int64  `json:"og,omitempty"`  // generation of the one that was answered
	Active  bool   `json:"on,omitempty"`  // what introspection answered
}

// Journal is a file to which many clients write. A record is on the disk when Write returns: records
// that arrive together share one fsync.
type Journal struct {
	file  *os.File
	queue chan entry
	ended chan struct{}
	once  sync.Once
	err   error
}

type entry struct {
	line []byte
	done chan error
}

// NewJournal makes the file.
func NewJournal(path string) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	j := &Journal{file: f, queue: make(chan entry, 1024), ended: make(chan struct{})}
	go j.run()
	return j, nil
}

// Write appends a record. After an error the journal is unusable, and so is the run.
func (j *Journal) Write(r Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	e := entry{append(line, '\n'), make(chan error, 1)}
	j.queue <- e
	return <-e.done
}

// Close writes what is left. No client may write any more.
func (j *Journal) Close() error {
	j.once.Do(func() { close(j.queue) })
	<-j.ended
	return errors.Join(j.err, j.file.Close())
}

func (j *Journal) run() {
	defer close(j.ended)
	var buf []byte
	var waiting []chan error
	for e := range j.queue {
		buf, waiting = append(buf[:0], e.line...), append(waiting[:0], e.done)
		for more := true; more && len(waiting) < 1024; {
			select {
			case e, more = <-j.queue:
				if more {
					buf, waiting = append(buf, e.line...), append(waiting, e.done)
				}
			default:
				more = false
			}
		}
		if j.err == nil {
			_, err := j.file.Write(buf)
			j.err = errors.Join(err, j.file.Sync())
		}
		for _, done := range waiting {
			done <- j.err
		}
	}
}

// ReadJournal calls each with every record, in the order in which they were written. A last line
// that was cut off, because the program was killed, is left out: its client had not gone on.
func ReadJournal(r io.Reader, each func(Record) error) error {
	in := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var record Record
		if err := json.Unmarshal(line, &record); err != nil {
			return fmt.Errorf("line %d of the journal: %w", n, err)
		}
		if err := each(record); err != nil {
			return err
		}
	}
}
