package xmppd

import (
	"os"
	"strings"
	"testing"
)

// docs/agents.md tells of each command, and of no other.
func TestDocsNameAllCommands(t *testing.T) {
	page, err := os.ReadFile("../docs/agents.md")
	if err != nil {
		t.Fatal(err)
	}
	contacts, desk, ok := strings.Cut(string(page), "## The desk")
	if !ok {
		t.Fatal("the page has no chapter on the desk")
	}
	for _, c := range []struct {
		text, sign string
		table      map[string]command
	}{{contacts, "!", commands}, {desk, "", controls}} {
		told := map[string]bool{"help": true}
		for line := range strings.Lines(c.text) {
			row, ok := strings.CutPrefix(line, "| `"+c.sign)
			if !ok {
				continue
			}
			first, _, _ := strings.Cut(row, " | ")
			for _, part := range strings.Split(first, "`") {
				word, _, _ := strings.Cut(strings.TrimLeft(part, c.sign), " ")
				if _, known := c.table[word]; known {
					told[word] = true
				} else if c.sign != "" && strings.HasPrefix(part, c.sign) && word != "help" {
					t.Errorf("the page tells of %s%s, which is not there", c.sign, word)
				}
			}
		}
		for name := range c.table {
			if !told[name] {
				t.Errorf("the page does not tell of %s%s", c.sign, name)
			}
		}
	}
}
