package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"parley.im/parley/xmppd/xmpptest"
)

// Whoever signs in among many colleagues sees them all, though her queue has room
// for few of them at a time.
func TestManyColleaguesFitThroughASmallQueue(t *testing.T) {
	t.Parallel()
	const agents = 40
	var cast, talk strings.Builder
	for i := range agents {
		fmt.Fprintf(&cast, "a%d   agent   desk.example   \"correct horse\"\n", i)
		fmt.Fprintf(&talk, "a%d/desk signs in\na%d/desk > <presence/>\n", i, i)
		if i < agents-1 {
			fmt.Fprintf(&talk, "a%d/desk < ...\n", i)
		}
	}
	last := agents - 1
	for i := range agents {
		fmt.Fprintf(&talk, "a%d/desk <~ <presence from='a%d@desk.example/desk' to='a%d@desk.example'>...</presence>\n", last, i, last)
	}
	fmt.Fprintf(&talk, "a%d/desk < nothing\n", last)
	for i := range last {
		fmt.Fprintf(&talk, "a%d/desk < ...\n", i)
	}
	text := "Many colleagues.\n\n-- cast --\n" + cast.String() + "\n-- parley.toml --\n[limits]\nqueue = 16\n\n-- talk --\n" + talk.String()
	many, err := xmpptest.Parse("many.talk", text)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		many.Play(t, newTalkServer(t, many))
	})
}
