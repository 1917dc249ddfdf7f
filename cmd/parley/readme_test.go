package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"parley.im/parley/conf"
)

// root is the repository's folder.
const root = "../.."

// pages are README.md and its kin, by their paths in the repository.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, pattern := range []string{"*.md", "docs/*.md", "testdata/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			text, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.ToSlash(strings.TrimPrefix(p, root+"/"))] = string(text)
		}
	}
	if all["README.md"] == "" || all["docs/map.md"] == "" {
		t.Fatalf("no README.md or no docs/map.md among %d pages", len(all))
	}
	return all
}

// The commands of README.md do what it says, as they are written there.
func TestReadmeCommands(t *testing.T) {
	readme := pages(t)["README.md"]
	if got, want := typedLines(readme, "The first minute"), []string{"go run ./cmd/parley demo", "make check"}; !slices.Equal(got, want) {
		t.Errorf("the first minute is %q, want %q: TestDemo and CI do those", got, want)
	}
	lines := typedLines(readme, "A server of your own")
	if len(lines) != 4 || lines[0] != "go build -o parley ./cmd/parley" || !strings.Contains(lines[2], "agent add") || !strings.HasSuffix(lines[3], " serve") {
		t.Fatalf("a server of one's own takes %q: this test knows another way", lines)
	}

	// Building is what has made this binary: it is parley in the newcomer's folder.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "parley")); err != nil {
		t.Fatal(err)
	}
	shell := func(line string) *exec.Cmd {
		cmd := exec.Command("sh", "-c", "exec "+line)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), beParley+"=1", "PARLEY_CONFIG=")
		return cmd
	}
	if out, err := shell(lines[1]).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", lines[1], err, out)
	}
	for _, name := range []string{"parley.toml", "root.key", "tls/ca.pem"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s made no %s", lines[1], name)
		}
	}
	typesPassword(t, shell(lines[2]), "correct horse 42")

	for _, line := range []string{"check", "sample"} {
		if !strings.Contains(readme, "`parley "+line+"`") {
			t.Errorf("README.md says nothing of 'parley %s'", line)
		}
		out, err := shell("./parley " + line).Output()
		if err != nil || line == "sample" && string(out) != conf.Sample() {
			t.Errorf("parley %s: %v\n%s", line, err, out)
		}
	}

	// The usual ports may be somebody else's here.
	serve := shell(lines[3] + " -set listen.starttls=127.0.0.1:0 -set listen.tls=127.0.0.1:0 -set listen.https=127.0.0.1:0")
	var log screen
	serve.Stderr = &log
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- serve.Wait() }() // ends with the process
	defer serve.Process.Kill()            // which has ended, unless the test failed
	var addr string
	eventually(t, "the server is ready", func() bool {
		if m := readyLine.FindStringSubmatch(log.String()); m != nil {
			addr = m[2]
		}
		return addr != ""
	})
	roots, err := readRoots(filepath.Join(dir, "tls/ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	login{
		dial:  func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", addr) },
		roots: roots, domain: "desk.example", name: "anna", password: "correct horse 42", resource: "first",
	}.in(t).drop()
	if err := serve.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("serve, after Ctrl-C: %v\n%s", err, &log)
	}
}

// typesPassword runs a command at a terminal, where it asks twice for a password.
func typesPassword(t *testing.T, cmd *exec.Cmd, password string) {
	t.Helper()
	person, terminal := pseudoTerminal(t)
	prompts, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = terminal
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(prompts)
	for range 2 {
		if prompt, err := r.ReadString(':'); err != nil {
			t.Fatalf("%v: it says %q instead of asking for a password", err, prompt)
		}
		if _, err := person.WriteString(password + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	rest, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, rest)
	}
}

var (
	markdownLink = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)\s]*)?\)`)
	inlineCode   = regexp.MustCompile("`([^`\n]+)`")
	repoPath     = regexp.MustCompile(`^(?:cmd|conf|auth|store|xmppd|testdata|docs)/[A-Za-z0-9_./-]+$`)
)

// What the pages lead to is there: files, folders and commands.
func TestPagesLeadSomewhere(t *testing.T) {
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
		return err == nil
	}
	for page, text := range pages(t) {
		for _, m := range markdownLink.FindAllStringSubmatch(text, -1) {
			if to := m[1]; !strings.Contains(to, "://") && !strings.HasPrefix(to, "mailto:") && !exists(path.Join(path.Dir(page), to)) {
				t.Errorf("%s links to %s, which is not there", page, to)
			}
		}
		for _, m := range inlineCode.FindAllStringSubmatch(text, -1) {
			code := m[1]
			// testdata/fuzz is where each package's fuzz tests put what they find.
			if repoPath.MatchString(code) && code != "testdata/fuzz" && !exists(code) {
				t.Errorf("%s names %s, which is not there", page, code)
			}
			if words := strings.Fields(code); len(words) > 1 && words[0] == "parley" {
				if c, _, err := findCommand(words[1:]); err != nil || c == nil && words[1] != "-help" {
					t.Errorf("%s names '%s', which is no command", page, code)
				}
			}
		}
	}
}
