package main

import (
	"bytes"
	"testing"
)

// systemd and container engines may name a socket that is no file.
func TestTheSupervisorsSocketIsInTheAbstractNamespace(t *testing.T) {
	name := "@" + t.TempDir()
	states := supervisor(t, name)
	var log bytes.Buffer
	notifySupervisor([]string{"NOTIFY_SOCKET=" + name}, "READY=1", textLog(&log))
	if state := <-states; state != "READY=1" || log.Len() > 0 {
		t.Errorf("%q, logged: %s", state, &log)
	}
}
