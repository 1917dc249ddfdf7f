package visit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley.im/parley/xmppd/desk"
)

// BenchmarkTalk has 200 contacts open, in which 500 messages a second are said by both sides. It tells how long it takes
// from an agent's word to its visitor's client, from a visitor's to the answer that it is kept and to whoever listens
// for agents; and beside it how long an agent waits for the commit, which is in all of them.
func BenchmarkTalk(b *testing.B) {
	const contacts, perSecond = 200, 500
	s := newShop(b, func(s *shop) { s.settings.Limit = contacts })
	anna := s.agents["anna"]
	var mu sync.Mutex
	began := make(map[string]time.Time) // by id
	took := make(map[string][]time.Duration)
	note := func(what, id string) {
		mu.Lock()
		defer mu.Unlock()
		took[what] = append(took[what], time.Since(began[id]))
	}
	begin := func(id string) {
		mu.Lock()
		defer mu.Unlock()
		began[id] = time.Now()
	}
	var all, pending sync.WaitGroup
	lines := make([]*client, contacts)
	addresses := make([]string, contacts)
	for i := range lines {
		is := s.open(J{})
		addresses[i] = is.Contact.ID
		s.offered(is.Contact.ID)
		s.say("anna", is.Contact.ID, "take", "take")
		c := s.comes(is.Token, 0)
		lines[i] = c
		f := c.until("message")
		if f.ID != "take" {
			b.Fatal(f)
		}
		all.Go(func() {
			for {
				_, data, err := c.ws.Read(context.Background())
				if err != nil {
					return
				}
				var f frame
				s.must(json.Unmarshal(data, &f))
				switch f.Type {
				case "said":
					note("visitor→kept", f.ID)
					pending.Done()
				case "message":
					note("agent→visitor", f.ID)
					pending.Done()
				}
			}
		})
	}
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	b.ResetTimer()
	for i := range b.N {
		<-tick.C
		id := fmt.Sprint("id", i)
		pending.Add(1)
		begin(id)
		if i%2 == 0 {
			s.must(lines[i/2%contacts].ws.Write(b.Context(), websocket.MessageText, fmt.Appendf(nil, `{"type":"say","id":"%s","text":"Is anyone there?"}`, id)))
			continue
		}
		c, err := s.contacts.ByAddress(addresses[i/2%contacts])
		s.must(err)
		m := s.contacts.Text(c, desk.Agents, id, "Yes, I am.", time.Now())
		m.From, m.To = "anna@desk.example/phone", c.Address+"@visitors.desk.example"
		s.contacts.AgentSays(c.ID, desk.Said{Agent: anna, Body: m}, func(_ *desk.Change, err error) {
			s.must(err)
			note("commit", id)
		})
	}
	pending.Wait()
	b.StopTimer()
	for what, list := range took {
		slices.Sort(list)
		b.ReportMetric(float64(list[len(list)/2].Microseconds())/1000, "ms:"+what+":p50")
		b.ReportMetric(float64(list[len(list)*99/100].Microseconds())/1000, "ms:"+what+":p99")
	}
	for _, c := range lines {
		c.ws.CloseNow()
	}
	all.Wait()
}
