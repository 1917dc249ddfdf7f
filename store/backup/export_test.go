package backup

import (
	"bytes"
	"context"

	"parley.im/parley/store/seal"
)

// WriteManifest lets tests put a manifest of their own into a target.
func WriteManifest(ctx context.Context, t Target, m *Manifest, roots ...seal.Key) error {
	name, text, err := m.encode(roots)
	if err != nil {
		return err
	}
	return t.Put(ctx, name, bytes.NewReader(text), int64(len(text)))
}
