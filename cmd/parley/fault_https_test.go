package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// CVE-2023-32315, and CVE-2008-6508 fifteen years before: a page for nobody was reached by
// a path that began as one for everybody, and led away from it in a spelling that only one
// of two readers understood. MongooseIM 6.8.0: one way in was not asked for its right.
// Here what a handler is for decides, and each route is known here.
func pagesForOperators(t *testing.T) {
	text, err := os.ReadFile("health.go")
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, m := range regexp.MustCompile(`mux\.Handle(?:Func)?\("([^"]*)", (h\.forOperators)?`).FindAllStringSubmatch(string(text), -1) {
		method, path, ok := strings.Cut(m[1], " ")
		if !ok || method != "GET" || m[2] == "" && path != "/healthz" && path != "/.well-known/security.txt" {
			t.Errorf("the route %q is for everybody", m[1])
		}
		paths = append(paths, path)
	}
	if len(paths) < 3 {
		t.Fatalf("routes are %q", paths)
	}
	d := healthy(t, "-set", `admin.networks=["127.0.0.1/32"]`)
	asks := func(from, method, target, more string) (status int, body string) {
		dialer := tls.Dialer{NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}, Config: &tls.Config{RootCAs: d.roots(), ServerName: "desk.example", MinVersion: tls.VersionTLS12}}
		conn, err := dialer.DialContext(t.Context(), "tcp", d.https)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: desk.example\r\nConnection: close\r\n%s\r\n", method, target, more)
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%s %s: %v", method, target, err)
		}
		defer resp.Body.Close()
		all, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("%s %s: %v", method, target, err)
		}
		return resp.StatusCode, string(all)
	}
	if status, body := asks("127.0.0.1", "GET", "/metrics", ""); status != http.StatusOK || !strings.Contains(body, "parley_") {
		t.Fatalf("the operator gets %d %s", status, body)
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "PROPFIND"} {
		for _, path := range paths {
			if path == "/healthz" {
				continue
			}
			for _, form := range []string{
				"%s", "/healthz/..%s", "/healthz/%%2e%%2e%s", "/healthz/%%u002e%%u002e%s", "/healthz/%%252e%%252e%s", "/healthz;/..%s", "/healthz\\..%s", "/healthz%%2f..%s", "/healthz%%5c..%s",
				"/setup/setup-s/%%u002e%%u002e/%%u002e%%u002e%s", "/.%s", "/%s", "//%s", "%s/", "%s/.", "%s%%00", "%s;x", "%s?x", "%s%%20", "https://desk.example%s", "https://127.0.0.1%s",
			} {
				target := fmt.Sprintf(form, path)
				status, body := asks("127.0.0.2", method, target, "")
				if status == http.StatusOK || strings.Contains(body, "parley_") || strings.Contains(body, "ready") && path == "/readyz" && status < 300 {
					t.Errorf("%s %s: a stranger gets %d %s", method, target, status, body)
				}
			}
		}
	}
	if status, _ := asks("127.0.0.2", "GET", "/healthz", "X-Long: "+strings.Repeat("x", 16<<10)+"\r\n"); status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a long header is answered with %d", status)
	}
	for _, more := range []string{"X-Forwarded-For: 127.0.0.1\r\n", "X-Real-IP: 127.0.0.1\r\n", "Forwarded: for=127.0.0.1\r\n", "X-Original-URL: /healthz\r\n", "X-HTTP-Method-Override: GET\r\n"} {
		if status, _ := asks("127.0.0.2", "GET", "/metrics", more); status != http.StatusNotFound {
			t.Errorf("with %q a stranger gets %d", more, status)
		}
	}
}
