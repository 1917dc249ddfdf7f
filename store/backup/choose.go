package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// A Found is a copy that a target has.
type Found struct {
	Name string
	Time time.Time
}

// Copies lists a target's copies, the oldest first.
func Copies(ctx context.Context, t Target) ([]Found, error) {
	var list []Found
	err := t.List(ctx, manifestsDir, func(name string, _ int64) {
		if at, ok := manifestTime(name); ok {
			list = append(list, Found{name, at})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list the copies in %s: %w", t.Name(), err)
	}
	slices.SortFunc(list, func(a, b Found) int { return a.Time.Compare(b.Time) })
	return list, nil
}

const manifestMax = 256 << 20

// Read reads a copy's manifest.
func Read(ctx context.Context, t Target, f Found) (*Manifest, error) {
	r, err := t.Get(ctx, f.Name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name(), err)
	}
	defer r.Close()
	text, err := limited(r, manifestMax)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", t.Name(), f.Name, err)
	}
	m, err := parseManifest(f.Name, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name(), err)
	}
	return m, nil
}

// ErrNoCopy says that there is no copy of that time.
var ErrNoCopy = errors.New("there is no copy")

// choose reads the newest copy of a kind, or the newest that is not younger than at.
func (r *Restore) choose(ctx context.Context, t Target, k Kind, at time.Time) (*Manifest, error) {
	all, err := Copies(ctx, t)
	if err != nil {
		return nil, err
	}
	if !at.IsZero() {
		all = slices.DeleteFunc(all, func(f Found) bool { return f.Time.After(at) })
	}
	if len(all) == 0 {
		if at.IsZero() {
			return nil, fmt.Errorf("%w in %s", ErrNoCopy, t.Name())
		}
		return nil, fmt.Errorf("%w in %s from before %s", ErrNoCopy, t.Name(), at.UTC().Format(time.RFC3339))
	}
	m, err := Read(ctx, t, all[len(all)-1])
	if err == nil && m.Kind != k {
		err = fmt.Errorf("%s holds copies of %s, not of %s", t.Name(), m.Kind, k)
	}
	if err == nil {
		err = r.check(t.Name(), m)
	}
	return m, err
}

// fetch brings a piece into a file and compares it with its manifest.
func fetch(ctx context.Context, t Target, p Piece, path string) error {
	r, err := t.Get(ctx, p.Name)
	if isMissing(err) {
		return fmt.Errorf("%s is missing", p.Name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	defer r.Close()
	w, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(&untilDone{ctx, r}, p.Size+1))
	if err := errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	switch {
	case n < p.Size:
		return fmt.Errorf("%s is cut off: it has %d of %d bytes", p.Name, n, p.Size)
	case n > p.Size || hex.EncodeToString(h.Sum(nil)) != p.SHA256:
		return fmt.Errorf("%s is not what was written", p.Name)
	}
	return nil
}
