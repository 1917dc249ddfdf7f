package web

import (
	"strconv"
	"time"

	"parley.im/parley/store"
)

// A Range is a part of a conversation: what is in all that is asked for, ends included.
type Range struct {
	From  int64     `query:"from" minimum:"1" doc:"The number of the first record."`
	To    int64     `query:"to" minimum:"1" doc:"The number of the last record."`
	Since time.Time `query:"since" doc:"Records from that time on."`
	Until time.Time `query:"until" doc:"Records until that time."`
}

// check refuses ranges in which nothing can be.
func (r *Range) check() error {
	switch {
	case r.To != 0 && r.To < r.From:
		return refuse("the range ends before it begins: from %d to %d", r.From, r.To)
	case !r.Until.IsZero() && r.Until.Before(r.Since):
		return refuse("the range ends before it begins: since %s until %s", r.Since.Format(time.RFC3339Nano), r.Until.Format(time.RFC3339Nano))
	}
	return nil
}

func (r *Range) has(e *store.Entry) bool {
	return e.N >= r.From && (r.To == 0 || e.N <= r.To) &&
		!e.At.Before(r.Since) && (r.Until.IsZero() || !e.At.After(r.Until))
}

// signed is the range as a signature says it; nil is all of the conversation.
func (r *Range) signed() *ExportRange {
	if *r == (Range{}) {
		return nil
	}
	number := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	clock := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	return &ExportRange{From: number(r.From), To: number(r.To), Since: clock(r.Since), Until: clock(r.Until)}
}
