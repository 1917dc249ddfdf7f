package widget

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The parts that know of no browser, by themselves: test/*.test.js.
func TestModules(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		missingTool(t, "Node.js is not here; on Debian: apt-get install nodejs")
	}
	tests, err := filepath.Glob("test/*.test.js")
	if err != nil || len(tests) == 0 {
		t.Fatalf("there are no tests: %v", err)
	}
	if out, err := exec.Command(node, append([]string{"--test"}, tests...)...).CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

// missingTool ends a test that needs a program of others: where everything is installed, as
// an error.
func missingTool(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
