//go:build interop

package browser

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

type message struct {
	ID      int             `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

type answer struct {
	result json.RawMessage
	err    error
}

// read passes each message of the browser to its receiver. Messages end in a NUL.
func (b *Browser) read(r io.Reader) {
	buffered := bufio.NewReaderSize(r, 1<<20)
	for {
		raw, err := buffered.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			b.ended = errors.New("the browser has ended")
			for id, c := range b.answers {
				c <- answer{err: b.ended}
				delete(b.answers, id)
			}
			b.mu.Unlock()
			return
		}
		var m message
		if json.Unmarshal(raw[:len(raw)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		waiting, tab := b.answers[m.ID], b.tabs[m.Session]
		delete(b.answers, m.ID)
		b.mu.Unlock()
		switch {
		case m.ID != 0 && waiting != nil && m.Error != nil:
			waiting <- answer{err: errors.New(m.Error.Message)}
		case m.ID != 0 && waiting != nil:
			waiting <- answer{result: m.Result}
		case m.Method != "" && tab != nil:
			tab.handleEvent(m)
		}
	}
}

func (b *Browser) call(session, method string, params any) (json.RawMessage, error) {
	if params == nil {
		params = struct{}{}
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	c := make(chan answer, 1)
	b.mu.Lock()
	if b.ended != nil {
		b.mu.Unlock()
		return nil, b.ended
	}
	b.last++
	id := b.last
	b.answers[id] = c
	request, err := json.Marshal(message{ID: id, Method: method, Params: raw, Session: session})
	if err == nil {
		_, err = b.to.Write(append(request, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case a := <-c:
		if a.err != nil {
			return nil, fmt.Errorf("%s: %w", method, a.err)
		}
		return a.result, nil
	case <-time.After(patience):
		return nil, fmt.Errorf("%s: no answer for %v", method, patience)
	}
}
