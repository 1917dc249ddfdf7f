package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// beHostile in the environment makes the test binary a mob of hostile clients.
const beHostile = "PARLEY_TEST_HOSTILE"

// A plan is what a mob is told.
type plan struct {
	StartTLS, TLS string // where the server listens
	CA            string // file
	Clients       int
	Seconds       int // it gives up by itself after so long
}

// A mob is the hostile clients of one run.
type mob struct {
	plan
	roots login
	mu    sync.Mutex // guards what follows
	ways  map[string]*wayCount
}

// wayCount is how often something was tried and how often that did not go as it should.
type wayCount struct {
	Done, Failed int
	Last         string
}

// hostile is what the test binary does as a mob: told on its standard input what it
// needs to know, it misbehaves until that ends, and then reports on standard output.
func hostile() error {
	in := json.NewDecoder(os.Stdin)
	m := mob{ways: make(map[string]*wayCount)}
	if err := in.Decode(&m.plan); err != nil {
		return err
	}
	roots, err := readRoots(m.CA)
	if err != nil {
		return err
	}
	m.roots = login{roots: roots, domain: "desk.example"}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(m.Seconds)*time.Second)
	defer cancel()
	go func() { // ends with the process
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	var wg sync.WaitGroup
	for i := range m.Clients {
		wg.Go(func() { m.misbehave(ctx, i) })
	}
	wg.Wait()
	return json.NewEncoder(os.Stdout).Encode(m.ways)
}

// misbehave is what one of them does, each in its own way.
func (m *mob) misbehave(ctx context.Context, i int) {
	if i%2 == 0 {
		ways := append(append([]approach(nil), approaches...), strangers...)
		m.strange(ctx, i, &ways[i/2%len(ways)])
		return
	}
	m.inside(ctx, i, &insiders[i/2%len(insiders)])
}

// strange comes and goes without a password.
func (m *mob) strange(ctx context.Context, i int, a *approach) {
	d := &daemon{starttls: m.StartTLS, tls: m.TLS}
	for n := 0; ctx.Err() == nil; n++ {
		m.note(ctx, a.name, a.from(ctx, d, m.roots, int64(i+n*m.Clients)))
	}
}

// inside signs in and misbehaves, and signs in again when that has ended.
func (m *mob) inside(ctx context.Context, i int, h *hostility) {
	r := &rider{number: i / 2 % riderCount, addr: m.TLS, tls: &tls.Config{ServerName: "desk.example", RootCAs: m.roots.roots, MinVersion: tls.VersionTLS12}, from: address(int64(i))}
	for ctx.Err() == nil {
		if err := m.session(ctx, r, h, i); err != nil && !errors.Is(err, errEnded) {
			m.note(ctx, h.name, err)
		}
	}
}

func (m *mob) session(ctx context.Context, r *rider, h *hostility, i int) error {
	if err := r.arrive(); err != nil {
		return fmt.Errorf("arrive: %w", err)
	}
	defer r.cut()
	defer context.AfterFunc(ctx, func() { r.cut() })()
	if err := r.bind(fmt.Sprint(i)); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	for n := 0; ctx.Err() == nil; n++ {
		err := h.do(r, n)
		if err == nil || errors.Is(err, errEnded) {
			m.note(ctx, h.name, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// note counts one try; what ends with the run does not count.
func (m *mob) note(ctx context.Context, way string, err error) {
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.ways[way]
	if w == nil {
		w = new(wayCount)
		m.ways[way] = w
	}
	if w.Done++; err != nil {
		w.Failed++
		w.Last = err.Error()
	}
}

// address is one of this machine's, of 50,000.
func address(i int64) net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, byte(1+i%200), byte(i/200), byte(1+i%250))}
}
