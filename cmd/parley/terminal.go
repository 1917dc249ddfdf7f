package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// passwordMax bounds what is read as a password.
const passwordMax = 4096

// password reads a new password: from standard input with -password-stdin, else twice
// from the terminal, which does not show it.
func (c *call) password() (string, error) {
	if c.on("password-stdin") {
		return firstLine(c.stdin)
	}
	tty, ok := c.stdin.(*os.File)
	if !ok || !isTerminal(tty) {
		return "", c.usage("a password can only be typed at a terminal; -password-stdin reads it from standard input")
	}
	once, err := c.ask(tty, "Password: ")
	if err != nil {
		return "", err
	}
	again, err := c.ask(tty, "The same again: ")
	if err != nil {
		return "", err
	}
	if once != again {
		return "", errors.New("the two passwords differ")
	}
	return once, nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// ask reads a line while the terminal's echo is off.
func (c *call) ask(tty *os.File, prompt string) (string, error) {
	fd := int(tty.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", fmt.Errorf("ask for the password: %w", err)
	}
	silent := *before
	silent.Lflag &^= unix.ECHO
	silent.Lflag |= unix.ICANON | unix.ISIG
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &silent); err != nil {
		return "", fmt.Errorf("ask for the password: %w", err)
	}
	defer unix.IoctlSetTermios(fd, unix.TCSETS, before)
	fmt.Fprint(c.stderr, prompt)
	defer fmt.Fprintln(c.stderr)
	return firstLine(tty)
}

func firstLine(r io.Reader) (string, error) {
	text, err := bufio.NewReader(io.LimitReader(r, passwordMax)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	if text == "" {
		return "", errors.New("no password was given")
	}
	return text, nil
}
