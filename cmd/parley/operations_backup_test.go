package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var tomlBlock = regexp.MustCompile("(?s)```toml\n(.*?)```")

// The commands of the chapter on backups do what it says, as they are written there.
func TestBackupChapter(t *testing.T) {
	t.Parallel()
	text := pages(t)["docs/operations.md"]
	lines := typedLines(text, "Backups and restoring")
	if len(lines) != 8 {
		t.Fatalf("the chapter types %q: this test knows another way", lines)
	}
	self, err := builtParley()
	if err != nil {
		t.Fatal(err)
	}
	dir, config := quickstarted(t, "-starttls", "", "-tls", "127.0.0.1:0", "-https", "127.0.0.1:0", "desk.example")
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "parley")); err != nil {
		t.Fatal(err)
	}
	place := t.TempDir()
	for _, name := range []string{"data", "keys"} {
		if err := os.Mkdir(filepath.Join(place, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	here := strings.NewReplacer("/mnt/backup", place, "2026-11-28T09:30:00Z", soon)
	shell := func(line string) string {
		t.Helper()
		cmd := exec.Command("sh", "-c", here.Replace(line))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), beParley+"=1", "PARLEY_CONFIG=", "PATH="+bin+":"+os.Getenv("PATH"))
		var out screen
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out.String())
		}
		return out.String()
	}

	public := strings.TrimSpace(shell(lines[0]))
	_, chapter, _ := strings.Cut(text, "\n## Backups and restoring\n")
	options := tomlBlock.FindStringSubmatch(chapter)
	if options == nil || !strings.Contains(options[1], `"age1..."`) {
		t.Fatalf("the chapter shows no options")
	}
	f, err := os.OpenFile(config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("\n" + strings.Replace(here.Replace(options[1]), "age1...", public, 1)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	must(t, "correct horse 42\n", "agent", "add", "-config", config, "-password-stdin", "anna@desk.example")
	for i, want := range []string{"newest 2", "1 copies", "whole", "restored is made"} {
		if out := shell(lines[i+1]); !strings.Contains(out, want) {
			t.Errorf("%s says %s, want %q", lines[i+1], out, want)
		}
	}
	shell("cp -r root.key tls restored/")
	shell(lines[5])
	if !strings.HasPrefix(lines[6], "parley serve -config restored/") {
		t.Errorf("then comes %q", lines[6])
	}
	d := startDaemon(t, filepath.Join(dir, "restored"))
	d.login("anna", "correct horse 42", "laptop").in(t)
	if !strings.Contains(lines[7], "-at 2026-11-28T09:30:00Z") {
		t.Errorf("last comes %q", lines[7])
	}
	shell(lines[7])
}
