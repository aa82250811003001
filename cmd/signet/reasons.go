package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// This file turns the system's errors into half a sentence for people. The sentence around it names
// the file or address, or omits it: a path can be a misplaced secret.

// networkReason returns why a connection or a listener failed.
func networkReason(err error) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err):
		return "no answer in time"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the name " + dns.Name + " cannot be resolved"
	}
	return systemReason(err)
}

// systemReason returns the text of the innermost error, on one line.
func systemReason(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// listenError says what to do if the server cannot listen on the address of key.
func listenError(key, address string, err error) error {
	advice := "set " + key + " to another address"
	if key == "metrics.listen" {
		advice += ", or to the empty text to turn metrics off"
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use by another program; stop that or %s", address, advice)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s is not an address of this machine; %s, such as 127.0.0.1 or 0.0.0.0 and the port", address, advice)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("this user may not listen on %s; %s, with a port above 1023, or allow it (CAP_NET_BIND_SERVICE)", address, advice)
	}
	return fmt.Errorf("%s cannot be listened on: %s; %s", address, networkReason(err), advice)
}
