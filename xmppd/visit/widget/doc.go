// Package widget is the chat that a shop puts on its page: one script, which makes a button and a frame of Parley's
// origin, and what is in the frame. It is plain ES modules without a build step, in the folder web; with the server it talks
// as docs/visitors.md has it.
//
// The script runs in the shop's page, and nothing of a conversation comes there: the page's other scripts can't read the
// frame. The frame shows texts of strangers, so that nothing in it is ever made of markup, and its
// Content-Security-Policy would not let it: no script and no style but those of this package.
package widget
