package main

import "parley.im/parley/xmppd/web"

// line is text from strangers that stays in one line and steers no terminal.
func line(text string) string { return web.OneLine(text) }
