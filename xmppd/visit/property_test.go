package visit_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/visit"
)

var formWithEmail = visit.Look{
	Form:      []visit.Field{{Name: "email", Label: map[string]string{"en": "Your e-mail"}, Required: true, Type: "email"}},
	Languages: []string{"en"},
}

// However a client is cut and comes back, however slowly it reads, and whatever happens meanwhile: it gets each
// message once, in order, and what it says is kept once.
func TestNothingTwiceNothingLeftOut(t *testing.T) {
	const messages = 150
	s := newShop(t)
	is := s.open(J{"text": "first"})
	address := is.Contact.ID
	s.offered(address)
	s.say("anna", address, "take", "a take")

	var others sync.WaitGroup
	defer others.Wait()
	others.Go(func() { // an agent who says much, and notes among it that no visitor sees
		for i := range messages {
			s.say("anna", address, fmt.Sprint("a", i), fmt.Sprint("a ", i))
			if i%7 == 0 {
				c, err := s.contacts.ByAddress(address)
				s.must(err)
				s.contacts.Note(c.ID, desk.Agents, s.agents["anna"], "a secret", nil)
			}
		}
		s.say("anna", address, "end", "a end")
	})

	random := rand.New(rand.NewPCG(7, 7))
	var after int64
	seen := make(map[int64]frame)
	asked, answered, ended := 0, 0, false
	for round := 0; !ended || answered < messages; round++ {
		mia := s.comes(is.Token, after)
		at := after
		// What was not answered is said again.
		for i := answered; i < asked; i++ {
			mia.send(J{"type": "say", "id": fmt.Sprint("m", i), "text": fmt.Sprint("m ", i)})
		}
		for range 1 + random.IntN(60) {
			if asked < messages && asked-answered < 20 && random.IntN(2) == 0 {
				mia.send(J{"type": "say", "id": fmt.Sprint("m", asked), "text": fmt.Sprint("m ", asked)})
				asked++
			}
			if ended && answered == asked {
				break
			}
			f := mia.next()
			switch f.Type {
			case "said":
				if f.ID == fmt.Sprint("m", answered) {
					answered++
				}
				if f.Seq <= at { // it was said before the line was cut
					if seen[f.Seq].ID != f.ID {
						t.Fatalf("said %+v, but there was %+v", f, seen[f.Seq])
					}
					continue
				}
			case "message", "state":
			default:
				t.Fatalf("there is %+v", f)
			}
			if f.Seq <= at {
				t.Fatalf("round %d: after %d there is %+v", round, at, f)
			}
			if f.Type == "message" && f.From.Kind == "visitor" && f.ID == fmt.Sprint("m", answered) {
				answered++ // it was kept, and the answer lost
			}
			at = f.Seq
			if before, twice := seen[f.Seq]; twice {
				t.Fatalf("%+v comes twice: %+v", before, f)
			}
			seen[f.Seq] = f
			ended = ended || f.ID == "end"
		}
		mia.ws.CloseNow()
		after = at
	}

	count := make(map[string]int)
	last := map[string]int64{}
	for seq := int64(1); seq <= after; seq++ {
		f, ok := seen[seq]
		if !ok || f.Type == "state" {
			continue
		}
		count[f.ID]++
		if f.ID[0] != 'm' && f.ID[0] != 'a' {
			continue
		}
		var n int64
		if k, _ := fmt.Sscanf(f.ID[1:], "%d", &n); k == 1 {
			if n != last[f.ID[:1]] {
				t.Errorf("%s comes where %d was to", f.ID, last[f.ID[:1]])
			}
			last[f.ID[:1]]++
		}
	}
	for i := range messages {
		for _, id := range []string{fmt.Sprint("a", i), fmt.Sprint("m", i)} {
			if count[id] != 1 {
				t.Errorf("%s comes %d times", id, count[id])
			}
		}
	}
}
