package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// A bucket is a target that speaks S3. An object is there whole or not at all: that is
// the protocol's own promise.
type bucket struct {
	client       *minio.Client
	name, prefix string
}

// s3Tries is how often the client itself repeats a request; the courier has longer
// waits.
const s3Tries = 2

func openS3(c TargetConfig, where string) (Target, error) {
	if c.Endpoint == "" {
		return nil, fmt.Errorf("%s: the endpoint is missing, such as \"https://s3.example\"", c.To)
	}
	if err := CheckEndpoint(c.Endpoint); err != nil {
		return nil, fmt.Errorf("%s: endpoint: %w", c.To, err)
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, err
	}
	name, prefix, _ := strings.Cut(where, "/")
	if name == "" {
		return nil, fmt.Errorf("%q names no bucket", c.To)
	}
	key, err := c.Key()
	if err != nil {
		return nil, fmt.Errorf("%s: key: %w", c.To, err)
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(c.KeyID, key, ""), Secure: u.Scheme == "https", Region: c.Region,
		BucketLookup: minio.BucketLookupAuto, MaxRetries: s3Tries, Transport: s3Transport(),
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.To, err)
	}
	return &bucket{client, name, strings.Trim(prefix, "/")}, nil
}

// s3Transport waits for nobody for ever, and knows no proxy from the environment.
func s3Transport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.ResponseHeaderTimeout = time.Minute
	t.DisableCompression = true
	return t
}

// Name is the bucket and the prefix.
func (b *bucket) Name() string { return "s3://" + path.Join(b.name, b.prefix) }

func (b *bucket) key(name string) string { return path.Join(b.prefix, name) }

// Put sends an object.
func (b *bucket) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	_, err := b.client.PutObject(ctx, b.name, b.key(name), r, size, minio.PutObjectOptions{
		ContentType: "application/octet-stream", DisableContentSha256: b.client.EndpointURL().Scheme == "https",
	})
	return reason(err)
}

// Get asks for an object.
func (b *bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	o, err := b.client.GetObject(ctx, b.name, b.key(name), minio.GetObjectOptions{})
	if err != nil {
		return nil, reason(err)
	}
	// The client asks only when something is read.
	if _, err := o.Stat(); err != nil {
		o.Close()
		return nil, reason(err)
	}
	return o, nil
}

// List asks for names, page by page.
func (b *bucket) List(ctx context.Context, prefix string, each func(string, int64)) error {
	whole := b.key(prefix)
	if whole != "" && (prefix == "" || strings.HasSuffix(prefix, "/")) {
		whole += "/"
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for o := range b.client.ListObjects(ctx, b.name, minio.ListObjectsOptions{Prefix: whole, Recursive: true}) {
		if o.Err != nil {
			return reason(o.Err)
		}
		name := o.Key
		if b.prefix != "" {
			name = strings.TrimPrefix(name, b.prefix+"/")
		}
		each(name, o.Size)
	}
	return ctx.Err()
}

// Delete removes an object.
func (b *bucket) Delete(ctx context.Context, name string) error {
	err := reason(b.client.RemoveObject(ctx, b.name, b.key(name), minio.RemoveObjectOptions{}))
	if isMissing(err) {
		return nil
	}
	return err
}

// reason gives what S3 answers the words of files.
func reason(err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[minio.ErrorResponse](err)
	if ok && (e.Code == minio.NoSuchKey || e.Code == minio.NoSuchBucket || e.StatusCode == http.StatusNotFound) {
		return fmt.Errorf("%w: %s", fs.ErrNotExist, e.Message)
	}
	return err
}
