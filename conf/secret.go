package conf

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

const hidden = "[secret]"

// A Secret is a value that is not shown: given as { env = "NAME" } or
// { file = "path" }. However it is printed, it prints as [secret].
type Secret struct {
	env, file string
}

// Env is the environment variable that holds the secret, or "".
func (s Secret) Env() string { return s.env }

// File is the file that holds the secret, or "".
func (s Secret) File() string { return s.file }

// Reveal reads the secret from where it is, without the white space around it.
func (s Secret) Reveal() (string, error) {
	if s.env != "" {
		text, ok := os.LookupEnv(s.env)
		if !ok {
			return "", fmt.Errorf("environment variable %s is not set", s.env)
		}
		return strings.TrimSpace(text), nil
	}
	if s.file == "" {
		return "", errors.New("no secret is given")
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}

// String is [secret].
func (s Secret) String() string { return hidden }

// GoString is [secret].
func (s Secret) GoString() string { return hidden }

// LogValue is [secret].
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText is [secret].
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
