package xmppd

import (
	"context"
	"fmt"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/desk"
)

// limits is how much the agent may have, and has.
func (o *order) limits() (string, error) {
	s := o.support.contacts.Standing(o.agent.id)
	desk := o.support.contacts.Settings()
	return fmt.Sprintf("Your chats: %d, of which those in which something is said come to %.0f %% of the %d that you may have at a time. Offered to you at a time: up to %d.",
		len(s.Has), 100*s.Load, desk.LimitOf(&s.Agent), desk.Offers), nil
}

// statsMost is how many of an agent's chats of a day are counted.
const statsMost = 2000

// stats is what the agent's day was, and how it stands at the desk.
func (o *order) stats() (string, error) {
	k := o.support.contacts
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	var had, well, rated, stars int
	var waited time.Duration
	settings := k.Settings()
	today := settings.Hours.Today(time.Now())
	err := k.Each(ctx, store.ContactQuery{Owner: o.agent.id, Since: today, Max: statsMost}, func(c *desk.Contact) {
		had++
		waited += c.Waited
		if c.Outcome == desk.Successful {
			well++
		}
		if c.Rating != nil {
			rated++
			stars += c.Rating.Stars
		}
	})
	if err != nil {
		return "", err
	}
	most := ""
	if had == statsMost {
		most = " or more, of which the newest are counted"
	}
	text := fmt.Sprintf("Your chats since %s: %d%s; successful: %d", today.Format("15:04 MST"), had, most, well)
	if had > 0 {
		text += fmt.Sprintf("; their visitors waited for %s on average", (waited / time.Duration(had)).Round(time.Second))
	}
	if rated > 0 {
		text += fmt.Sprintf("; ratings: %d, with %.1f stars on average", rated, float64(stars)/float64(rated))
	}
	waiting := o.waiting()
	text += fmt.Sprintf(".\nWaiting now: %d", len(waiting))
	longest := time.Duration(0)
	for _, c := range waiting {
		longest = max(longest, time.Since(c.Queued))
	}
	if longest > 0 {
		text += fmt.Sprintf(", the longest for %s", longest.Round(time.Second))
	}
	takes := 0
	all := k.Standings()
	for _, s := range all {
		if s.Here && s.Takes && s.Paused == "" {
			takes++
		}
	}
	return text + fmt.Sprintf(". Agents here: %d; taking chats: %d.", len(all), takes), nil
}
