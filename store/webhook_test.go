package store

import (
	"strings"
	"testing"
)

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		list string
		in   string
		want bool
	}{
		{"", "message.created", true},
		{"message.created", "message.created", true},
		{"message.created", "agent.available", false},
		{"agent.*", "agent.available", true},
		{"agent.*", "agents.available", false},
		{"agent*", "agent.available", false},
		{"message.created security.*", "security.login_failed", true},
		{"*", "agent.available", true},
	} {
		if got := matches(strings.Fields(c.list), c.in); got != c.want {
			t.Errorf("matches(%q, %q) = %v, want %v", c.list, c.in, got, c.want)
		}
	}
}
