package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// HAP-5: a raised cost takes effect with the next passwords, once the operator says
// so; a mere restart with another option locks nobody out.
func TestReissue(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "parley.toml")
	must(t, "", "quickstart", "-dir", dir, "-set", "auth.iterations=10000", "desk.example")
	must(t, "maple-otter-47\n", "agent", "add", "-password-stdin", "-config", config, "anna@desk.example")
	raised := []string{"-config", config, "-set", "auth.iterations=20000", "desk"}
	show := func() string { return must(t, "", append([]string{"account", "show"}, raised...)...) }
	if out := show(); !strings.Contains(out, "iterations  10000") || !strings.Contains(out, "20000 are configured") {
		t.Errorf("before: %s, want 10000 to hold and 20000 to be told of", out)
	}
	must(t, "", append([]string{"account", "reissue"}, raised...)...)
	if out := show(); !strings.Contains(out, "iterations  20000") || strings.Contains(out, "10000") {
		t.Errorf("after: %s, want 20000", out)
	}
	must(t, "maple-otter-48\n", "agent", "passwd", "-password-stdin", "-config", config, "-set", "auth.iterations=20000", "anna@desk.example")
}
