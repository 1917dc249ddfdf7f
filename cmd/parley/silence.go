package main

import (
	"io"
	"log"
)

// silence drops what libraries say by themselves: net/http quotes what a webhook's receiver sends
// unasked, which may be what somebody wrote (I7), and as much of it as the receiver likes. What
// the server has to say goes through its own log.
func silence() { log.SetOutput(io.Discard) }
