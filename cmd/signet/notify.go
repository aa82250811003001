package main

import (
	"log/slog"
	"net"
	"strings"
)

// notifySupervisor tells systemd, or any supervisor with its protocol, what has become of the
// server: "READY=1" or "STOPPING=1" as a datagram to the socket that NOTIFY_SOCKET names
// (sd_notify(3)). Without that variable there is nobody to tell. A supervisor that cannot be told
// ends the start by its own timeout, so the failure is only logged.
func notifySupervisor(env []string, state string, log *slog.Logger) {
	address := ""
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, "NOTIFY_SOCKET="); ok {
			address = value
		}
	}
	if address == "" {
		return
	}
	// net takes a name that begins with @ for one in the abstract namespace, as systemd does.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err == nil {
		_, err = conn.Write([]byte(state))
		conn.Close()
	}
	if err != nil {
		log.Warn("the supervisor at NOTIFY_SOCKET cannot be told "+state, "error", err)
	}
}
