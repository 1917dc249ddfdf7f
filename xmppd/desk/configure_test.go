package desk

import (
	"testing"
	"time"
)

// Other settings hold for what goes on: what is due, who knows enough, who has too much.
func TestConfigure(t *testing.T) {
	b := sit(t, func(s *Settings) { s.Limit = 1 })
	s := b.Settings()
	b.SetAgent(Agent{ID: 1, Name: "anna", Here: true, Takes: true})
	b.opens(1, Wants{}, 0)
	b.settle()
	b.Accept(1, 1, nil)
	b.opens(2, Wants{}, 0)
	b.now = b.now.Add(time.Second)
	b.opens(3, Wants{}, 0)
	b.settle()
	b.want("1 created", "1 queued", "1 offered [1]", "1 assigned by 1", "2 created", "2 queued", "3 created", "3 queued")
	s.Limit, s.Offers = 2, 1
	b.Configure(s)
	b.settle()
	b.want("2 offered [1]")
	s.Agents = map[string]Skills{"anna": {Tags: []string{"money"}, Limit: 1}}
	b.Configure(s)
	b.settle()
	b.want("2 queued") // she has one
	if got := b.Standing(1); got.Limit != 1 || len(got.Tags) != 1 || got.Load != 1 {
		t.Errorf("she is %+v", got)
	}
	s.Agents, s.Wait = nil, 10*time.Second
	b.Configure(s)
	b.settle()
	b.want("2 offered [1]")
	b.after(9 * time.Second)
	b.want("2 missed", "3 offered [1]") // now that she is asked for less
}
