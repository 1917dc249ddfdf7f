package hook

import (
	"context"
	"time"
)

const (
	// deliveriesFor is how long it is kept what endpoints were given up for, and what came of
	// deliveries, at most: in time for whoever comes back from a holiday, and no longer than
	// what the events told of is kept.
	deliveriesFor = 30 * 24 * time.Hour
	// forgetEvery is how often what is too old is looked for, forgetFirst when that begins:
	// not while a server starts, which has better things to do.
	forgetEvery = time.Hour
	forgetFirst = time.Minute
)

// forget deletes what is too old. If the store cannot, the next hour tries again.
func (f *feed) forget(ctx context.Context) {
	keep := deliveriesFor
	if f.account.Keep > 0 {
		keep = min(keep, f.account.Keep)
	}
	n, err := f.account.Store.ForgetDeliveries(ctx, time.Now().Add(-keep))
	switch {
	case err != nil && ctx.Err() == nil:
		f.log.Warn("old deliveries are not deleted", "err", err, "wait", forgetEvery)
	case n > 0:
		f.log.Debug("old deliveries are deleted", "rows", n)
	}
}
