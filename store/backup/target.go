package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"path/filepath"
	"strings"
)

// A Target is where copies are kept. Names have slashes between their parts.
type Target interface {
	// Name is the target for people and metrics; it holds no secret.
	Name() string
	// Put keeps what r yields under a name, whole or not at all.
	Put(ctx context.Context, name string, r io.Reader, size int64) error
	// Get answers what is kept; fs.ErrNotExist if nothing is.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// List calls each with every name that begins so, and its size.
	List(ctx context.Context, prefix string, each func(name string, size int64)) error
	// Delete takes something away; nothing there is no error.
	Delete(ctx context.Context, name string) error
}

// A TargetConfig says where a target is.
type TargetConfig struct {
	To string // a folder, or "s3://bucket/prefix"

	// For S3 only.
	Endpoint string // "https://s3.example"
	Region   string
	KeyID    string
	Key      func() (string, error) // the secret key
}

// OpenTarget prepares a target; it asks it nothing yet.
func OpenTarget(c TargetConfig) (Target, error) {
	if bucket, ok := strings.CutPrefix(c.To, "s3://"); ok {
		return openS3(c, bucket)
	}
	if !filepath.IsAbs(c.To) {
		return nil, fmt.Errorf("%q is neither a folder's whole path nor s3://bucket/prefix", c.To)
	}
	return &folder{dir: filepath.Clean(c.To)}, nil
}

// ParseTarget reads a target as it is typed: a folder, or
// s3://bucket/prefix?endpoint=https://s3.example&region=here. The keys come from the
// environment.
func ParseTarget(text string, env func(string) string) (Target, error) {
	if !strings.HasPrefix(text, "s3://") {
		abs, err := filepath.Abs(text)
		if err != nil {
			return nil, err
		}
		return OpenTarget(TargetConfig{To: abs})
	}
	to, query, _ := strings.Cut(text, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("%q: want s3://bucket/prefix?endpoint=https://s3.example", text)
	}
	if env("AWS_ACCESS_KEY_ID") == "" || env("AWS_SECRET_ACCESS_KEY") == "" {
		return nil, errors.New("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
	}
	return OpenTarget(TargetConfig{
		To: to, Endpoint: q.Get("endpoint"), Region: q.Get("region"), KeyID: env("AWS_ACCESS_KEY_ID"),
		Key: func() (string, error) { return env("AWS_SECRET_ACCESS_KEY"), nil },
	})
}

// CheckEndpoint says what is wrong with the address of an S3 service, if anything. What
// is copied is sealed, but who may write there would go over the wire in clear.
func CheckEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" {
		return fmt.Errorf("not an address such as \"https://s3.example\": %q", endpoint)
	}
	if u.Scheme == "https" {
		return nil
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "http" || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("only https is spoken, to all but this machine: %q", endpoint)
	}
	return nil
}

// limited reads no more than max bytes and says when there are more.
func limited(r io.Reader, max int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, max+1))
	if err == nil && int64(len(text)) > max {
		err = fmt.Errorf("is longer than %d bytes", max)
	}
	return text, err
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
