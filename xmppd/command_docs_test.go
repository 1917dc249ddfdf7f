package xmppd

import (
	"os"
	"regexp"
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
		words      *regexp.Regexp
		table      map[string]command
	}{{contacts, "!", regexp.MustCompile("`!([a-z]+)"), commands}, {desk, "", regexp.MustCompile("`([a-z]+)"), controls}} {
		told := make(map[string]bool)
		for line := range strings.Lines(c.text) {
			first, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
			if !ok || !strings.HasPrefix(first, "`"+c.sign) {
				continue
			}
			for _, m := range c.words.FindAllStringSubmatch(first, -1) {
				if told[m[1]] = true; c.table[m[1]].do == nil && m[1] != "help" {
					t.Errorf("the page tells of %s%s, which is not there", c.sign, m[1])
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
