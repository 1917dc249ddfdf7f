package main

import (
	"bufio"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"parley.im/parley/conf"
)

// HAP-2, VIV-8: messages are kept, destroyed when they are old, and copied, all at once, and
// it is killed again and again. Whatever comes back from the copies, nothing is in it that
// had been destroyed when the last of them was begun, and everything that is younger.
func TestKilledWhileItDestroysAndCopies(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	identity, options := safes(t, dir, "1h")
	args := []string{"quickstart", "-dir", dir, "-set", "auth.iterations=10000", "-set", fmt.Sprintf("retention.enterprise=%q", "10d")}
	for _, option := range options {
		args = append(args, "-set", option)
	}
	must(t, "", append(args, "desk.example")...)
	config := filepath.Join(dir, "parley.toml")
	must(t, "correct horse 42\n", "agent", "add", "-config", config, "-password-stdin", "anna@desk.example")

	destroyed := 0
	for round := range 8 {
		last := killForgetful(t, config, rng.IntN(2)+1, rng.IntN(40))
		numbers := forgetfulRestored(t, restored(t, dir, identity))
		if len(numbers) == 0 {
			t.Fatalf("round %d: nothing came back", round)
		}
		if numbers[0] <= last.gone {
			t.Errorf("round %d: number %d came back, and all up to %d had been destroyed", round, numbers[0], last.gone)
		}
		for i, n := range numbers {
			if n != numbers[0]+i {
				t.Fatalf("round %d: number %d follows number %d", round, n, numbers[i-1])
			}
		}
		// What was not to be destroyed yet, by the clock when it was killed, is there.
		young := max(last.said-int(forgetfulKeeps/forgetfulStep)+forgetfulEarly, 1)
		if first, end := numbers[0], numbers[len(numbers)-1]; first > young || end < last.copied {
			t.Errorf("round %d: numbers %d to %d came back, and at least %d to %d were there", round, first, end, young, last.copied)
		}
		destroyed = max(destroyed, last.gone)
	}
	if destroyed == 0 {
		t.Error("nothing was ever destroyed")
	}
	if out := must(t, "", "verify", "-config", config); out == "" {
		t.Error("verify says nothing")
	}
	t.Logf("%d were destroyed", destroyed)
}

// A forgot is what a process that was killed had said last.
type forgot struct{ said, copied, gone int }

// killForgetful runs the process until it has made some copies and said some lines more.
func killForgetful(t *testing.T, config string, copies, more int) (last forgot) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), beForgetful+"="+config)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for killed := false; lines.Scan(); {
		var n, gone int
		if _, err := fmt.Sscanf(lines.Text(), "copied %d %d", &n, &gone); err == nil {
			last.copied, last.gone = n, gone
			copies--
		} else if _, err := fmt.Sscanf(lines.Text(), "said %d", &n); err != nil {
			t.Errorf("it says %q", lines.Text())
		} else {
			last.said = n
		}
		if copies <= 0 {
			more--
		}
		if more < 0 && !killed {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || more >= 0 {
		t.Fatalf("it ended by itself: %v", err)
	}
	return last
}

// forgetfulRestored are the numbers in what was restored, before anything is destroyed there.
func forgetfulRestored(t *testing.T, dir string) []int {
	t.Helper()
	f, err := conf.Load(filepath.Join(dir, "parley.toml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	i, err := openInstallation(t.Context(), f, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	}()
	desk, err := i.account(t.Context(), "desk")
	if err != nil {
		t.Fatal(err)
	}
	anna, err := desk.store.Agent(t.Context(), "anna")
	if err != nil {
		t.Fatal(err)
	}
	notes, err := desk.store.Direct(t.Context(), anna.ID, anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	numbers, _, err := forgetfulNumbers(t.Context(), desk, notes.ID())
	if err != nil {
		t.Fatal(err)
	}
	return numbers
}
