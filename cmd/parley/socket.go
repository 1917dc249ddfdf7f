package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A unix socket's address has room for about 100 bytes on all systems.
	socketPathMax = 100
	controlDrain  = 5 * time.Second
)

// socketPath shortens a path that is too long for a socket's address, by way of its
// opened folder. The func is called when the socket has been bound or reached.
func socketPath(path string) (short string, done func(), err error) {
	if len(path) <= socketPathMax {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}

// listenControl makes the operator's socket. The caller holds the data folder's
// lock, so a socket that is there already is a dead server's.
func listenControl(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the old control socket: %w", err)
	}
	short, done, err := socketPath(path)
	if err != nil {
		return nil, fmt.Errorf("make the control socket: %w", err)
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("make the control socket %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // the short path may be gone by then; the next start removes it
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("make the control socket: %w", err)
	}
	return &controlListener{l}, nil
}

// A controlListener lets in the server's own user and root.
type controlListener struct{ *net.UnixListener }

// A controlConn knows who is at the other end.
type controlConn struct {
	net.Conn
	uid uint32
}

// Accept waits for a peer that may give orders; others are turned away.
func (l *controlListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, err := peerUser(conn)
		if err == nil && (uid == 0 || int(uid) == os.Geteuid()) {
			return &controlConn{conn, uid}, nil
		}
		conn.Close()
	}
}

func peerUser(conn *net.UnixConn) (uid uint32, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(controlErr, err); err != nil {
		return 0, err
	}
	return cred.Uid, nil
}

type peerKey struct{}

// serveControl answers the operator's commands until ctx ends, then lets those that
// run finish.
func (i *installation) serveControl(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler:           guarded(i.log, newOperator(i)),
		ReadHeaderTimeout: 10 * time.Second, // local peers are quick
		ErrorLog:          slog.NewLogLogger(i.log.Handler(), slog.LevelWarn),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if peer, ok := c.(*controlConn); ok {
				ctx = context.WithValue(ctx, peerKey{}, peer.uid)
			}
			return ctx
		},
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), controlDrain)
		defer cancel()
		stopped <- s.Shutdown(drain)
	})
	err := s.Serve(l)
	if !stop() { // ctx has ended
		err = <-stopped
		s.Close()
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the control socket: %w", err)
	}
	return nil
}

// dialControl connects to a running server's socket.
func dialControl(ctx context.Context, path string) (net.Conn, error) {
	short, done, err := socketPath(path)
	if err != nil {
		return nil, err
	}
	defer done()
	return new(net.Dialer).DialContext(ctx, "unix", short)
}
