package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pseudoTerminal opens a terminal and the end at which a person would sit.
func pseudoTerminal(t *testing.T) (person, terminal *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return person, terminal
}

// askAt runs password at a terminal where a person types an answer to each prompt.
// The terminal is to show nothing of them.
func askAt(t *testing.T, answers ...string) (password string, err error) {
	t.Helper()
	person, terminal := pseudoTerminal(t)
	prompts, prose := io.Pipe()
	typing := make(chan error, 1)
	go func() { // ends with the prompts
		r := bufio.NewReader(prompts)
		for _, a := range answers {
			if _, err := r.ReadString(':'); err != nil {
				typing <- err
				return
			}
			if _, err := person.WriteString(a + "\n"); err != nil {
				typing <- err
				return
			}
		}
		_, err := io.Copy(io.Discard, r)
		typing <- err
	}()
	c := &call{command: &command{name: "test"}, stdin: terminal, stderr: prose}
	password, err = c.password()
	prose.Close()
	if err := <-typing; err != nil {
		t.Fatal(err)
	}
	if _, err := terminal.WriteString("end."); err != nil {
		t.Fatal(err)
	}
	if shown, err := bufio.NewReader(person).ReadString('.'); err != nil || shown != "end." {
		t.Errorf("the terminal showed %q, %v, want nothing", shown, err)
	}
	return password, err
}

// A password that is typed is not shown, and has to be typed twice.
func TestPasswordAtATerminal(t *testing.T) {
	if got, err := askAt(t, "correct horse 42", "correct horse 42"); got != "correct horse 42" || err != nil {
		t.Errorf("password = %q, %v", got, err)
	}
	if _, err := askAt(t, "correct horse 42", "correct house 42"); err == nil || !strings.Contains(err.Error(), "the two passwords differ") {
		t.Errorf("two passwords: %v", err)
	}
}
