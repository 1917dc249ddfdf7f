package main

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// What a supervisor is told, as sd_notify(3) has it.
const (
	nowReady     = "READY=1"
	nowStopping  = "STOPPING=1"
	nowReloading = "RELOADING=1"
)

// A supervisor is who started the server and waits for it to be ready: systemd, for
// a unit of Type=notify, or what speaks as it does.
type supervisor struct {
	socket string      // of NOTIFY_SOCKET; "" where there is none
	ready  atomic.Bool // it has been told so
}

// tell says what the server does now, and why in words for 'systemctl status'. Nothing
// depends on whether it is heard: the caller has logged the same, and there is
// nobody else to tell.
func (v *supervisor) tell(state, status string) {
	if v.socket == "" {
		return
	}
	if status != "" {
		// A line of its own is an assignment of its own: what is told holds none.
		state += "\nSTATUS=" + strings.Map(printableOnly, status)
	}
	if state == nowReloading {
		// systemd tells this reload from one of before by when it began.
		var now unix.Timespec
		if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil {
			state += fmt.Sprintf("\nMONOTONIC_USEC=%d", now.Nano()/1000)
		}
	}
	// An address that begins with @ has no file (unix(7)); net knows those too.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: v.socket, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(state)) // see above
}

// reload tells what do does, which reads the configuration again. One that comes before
// the server is ready is not told: its end would count as being ready.
func (v *supervisor) reload(do func() error) error {
	told := v.ready.Load()
	if told {
		v.tell(nowReloading, "")
	}
	err := do()
	switch {
	case !told:
	case err != nil:
		v.tell(nowReady, "configuration not read again; the old one holds: "+err.Error())
	default:
		v.tell(nowReady, "")
	}
	return err
}

// printableOnly makes a space of what would end a line.
func printableOnly(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}
