package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
)

// demoPage stands for a shop's. It is under the server's own name, so that a browser asks once
// whether to trust the throw-away certificate; a shop's page never is.
const demoPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A shop</title>
<h1>A shop</h1>
<p>Press the button in the corner, and ask something. It comes to both agents; the first who replies has the chat.</p>
<script src="/visit/loader.js" data-account="demo" async></script>
`

// demoPath is where it is.
const demoPath = "/demo"

func showDemoPage(mux *http.ServeMux) {
	mux.HandleFunc("GET "+demoPath, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; frame-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "same-origin")
		_, _ = io.WriteString(w, demoPage) // a browser that is gone
	})
}

// openPage opens a page in the browser of whoever sits before the terminal, if there is one.
func openPage(url string) {
	if info, err := os.Stdout.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return
	}
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	} else if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return
	}
	if cmd := exec.Command(program, url); cmd.Start() == nil {
		_ = cmd.Wait() // it hands the page over and ends; where it fails the address is on the screen
	}
}
