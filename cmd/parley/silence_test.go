package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// I7: a webhook's receiver that sends back more than it was asked for, such as what somebody
// wrote, gets nothing of that into the server's log.
func TestReceiversDoNotWriteTheLog(t *testing.T) {
	t.Parallel()
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "", "-set", `webhook.allow=["127.0.0.0/8"]`,
		"-set", "log.level=debug", "localhost")
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls/cert.pem"), filepath.Join(dir, "tls/key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	said, gone := make(chan string, 10), make(chan struct{}, 10)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return
				}
				said <- string(body)
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n%s", body)
				io.Copy(io.Discard, c) // until the server has had enough
				gone <- struct{}{}
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	must(t, "anna@localhost\tcorrect horse 42\n", "agent", "import", "-config", config)
	must(t, "", "webhook", "add", "-url", "https://localhost:"+port+"/", "-events", "message.created", "-config", config)
	d := startDaemon(t, dir, "SSL_CERT_FILE="+filepath.Join(dir, "tls/ca.pem"))
	anna := d.login("anna", "correct horse 42", "laptop")
	anna.domain = "localhost"
	j := anna.in(t)
	j.send("<message to='anna@localhost' id='m1' type='chat'><body>MARKER</body></message>")
	if body := <-said; !strings.Contains(body, "MARKER") {
		t.Fatalf("the receiver got %s", body)
	}
	<-gone
	if log := d.log(); strings.Contains(log, "MARKER") || strings.Contains(log, "nsolicited") {
		t.Errorf("the server's log has what the receiver sent:\n%s", log)
	}
}
