package store

import "time"

// A Token is an account's secret token, with which its webhooks are signed: 96 hexadecimal
// digits. The one before it is good until then, so that receivers can be told the new one;
// it is "" once that time has come.
type Token struct {
	Value    string
	Previous string
	Until    time.Time
}

// Old is the token before this one, while it is good.
func (t *Token) Old(now time.Time) string {
	if !now.Before(t.Until) {
		return ""
	}
	return t.Previous
}
