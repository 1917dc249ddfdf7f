package main

import (
	"context"
	"time"
)

const (
	// answersFor is how long it is known what was answered to a request with an idempotency key.
	answersFor  = 24 * time.Hour
	answersLook = time.Hour
)

// forgetAnswers forgets from time to time what is older, until ctx ends.
func (s *server) forgetAnswers(ctx context.Context) {
	clock := newSteadiness(s.inst.now)
	t := time.NewTicker(answersLook)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.forgetAnswersBy(ctx, clock)
		}
	}
}

// forgetAnswersBy forgets what is older by a clock, where that can be trusted: what is forgotten
// would be done twice.
func (s *server) forgetAnswersBy(ctx context.Context, clock *steadiness) {
	now, trusted := clock.look()
	for _, a := range s.inService() {
		if !trusted(a.store.Written()) {
			continue
		}
		if err := a.store.ForgetAnswers(ctx, now.Add(-answersFor)); err != nil && ctx.Err() == nil {
			s.log.Error("answers are not forgotten", "account", a.id, "err", err)
		}
	}
}
