package main

import (
	"context"
	"time"
)

// An account's key is replaced once a week: it bounds how long a destroyed secret
// could be read from an old copy of the key database (docs/map.md, keys).
const (
	keyAge  = 7 * 24 * time.Hour
	keyLook = time.Hour
)

// rotateKeys replaces the account keys that are too old, now and from time to time,
// until ctx ends.
func (s *server) rotateKeys(ctx context.Context) {
	t := time.NewTicker(keyLook)
	defer t.Stop()
	for {
		for _, a := range s.inService() {
			if s.inst.now().Sub(a.keys.Made()) < keyAge {
				continue
			}
			if err := a.keys.Rotate(ctx); err != nil {
				s.log.Error("the account's key is not replaced", "account", a.id, "err", err)
				continue
			}
			s.log.Info("the account's key is replaced", "account", a.id)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
