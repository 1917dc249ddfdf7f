package main

import (
	"net"
	"testing"
	"time"
)

// Whoever opens connections and says nothing keeps nobody else from the server.
func TestNobodyTakesAllConnections(t *testing.T) {
	d := healthy(t)
	for range httpsConnections {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.9")}}).Dial("tcp", d.https)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	began := time.Now()
	if status, body := d.getFrom("127.0.0.2", "/healthz"); status != 200 {
		t.Errorf("after %v: %d %s", time.Since(began), status, body)
	}
}
