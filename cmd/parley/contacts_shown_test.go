package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// contactShown says where one sees what a visitor's contact is in an agent's client: talks of testdata/talks, and tests of
// this package where it takes a network or a crowd.
var contactShown = []struct {
	what  string
	talks []string
	tests []string
}{
	{"one address for each contact, which is gone when it is over", []string{"91-a-visitor", "92-handed-over", "96-in-the-list"}, nil},
	{"the server names, groups and removes it in the roster", []string{"91-a-visitor", "96-in-the-list", "118-only-what-is-new"}, nil},
	{"its presence", []string{"91-a-visitor", "93-forms-and-time"}, nil},
	{"an offer", []string{"91-a-visitor", "98-strangers-words"}, nil},
	{"the first reply accepts, and who is slower is told", []string{"91-a-visitor", "94-nothing-by-mistake"},
		[]string{"TestFirstReplyMingles", "TestFirstReplyOverNetwork", "TestKilledBetweenAcceptAndNotice", "TestClientsAnswerVisitor"}},
	{"two devices of one agent", []string{"96-in-the-list", "117-another-device"}, []string{"TestFirstReplyMingles"}},
	{"commands, and words after '!' that are none", []string{"92-handed-over", "94-nothing-by-mistake", "95-ready-answers", "114-each-command"}, []string{"TestAgentBansVisitor"}},
	{"a transcript goes to the visitor's own address only", []string{"114-each-command"}, []string{"TestTranscriptsByMail"}},
	{"the desk's own address", []string{"93-forms-and-time", "114-each-command"}, nil},
	{"the same with forms", []string{"93-forms-and-time"}, nil},
	{"who is available is asked", []string{"93-forms-and-time", "96-in-the-list", "113-in-a-tunnel"}, nil},
	{"the server's own words, and lines that could be taken for them", []string{"91-a-visitor", "98-strangers-words", "115-claims"}, nil},
	{"typing, received, read", []string{"91-a-visitor"}, []string{"TestWidget", "TestClientsAnswerVisitor"}},
	{"corrections", []string{"92-handed-over"}, nil},
	{"a chat that is handed over, to somebody or to a group", []string{"92-handed-over", "114-each-command", "116-to-a-group"}, []string{"TestClientsAnswerVisitor"}},
	{"who may read it in the archive", []string{"111-who-may-read", "110-a-supervisor"}, nil},
	{"who is blocked", []string{"112-blocked"}, nil},
	{"what a client has encrypted", []string{"96-in-the-list"}, nil},
	{"colleagues, and several agents in one chat", []string{"65-colleagues-renamed", "92-handed-over"}, nil},
	{"supervisors read along, whisper and take over", []string{"110-a-supervisor"}, []string{"TestSupervisorReadsAlong"}},
	{"files", nil, []string{"TestFilesBothWays"}},
	{"names and pictures", []string{"97-names-and-faces"}, nil},
}

// What is said of contacts is shown somewhere.
func TestContactsAreShown(t *testing.T) {
	t.Parallel()
	code := ""
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code += string(text)
	}
	for _, s := range contactShown {
		for _, name := range s.talks {
			if _, err := os.Stat("../../testdata/talks/" + name + ".talk"); err != nil {
				t.Errorf("%s: %v", s.what, err)
			}
		}
		for _, name := range s.tests {
			if !regexp.MustCompile(`(?m)^func ` + name + `\(`).MatchString(code) {
				t.Errorf("%s: there is no %s", s.what, name)
			}
		}
	}
}
