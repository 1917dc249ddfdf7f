package visit

import (
	"cmp"
	"encoding/json"
	"strconv"

	"parley.im/parley/store"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/desk"
	"parley.im/parley/xmppd/wire"
)

// A news is a record as a visitor's client gets it.
type news struct {
	n int64
	frame
	agent store.AgentID // who has said it, if an agent did, or has the contact from here on
	mine  string        // the id that a visitor's client gave what it says
	last  bool          // nothing comes after it
}

// newsOf is what a visitor sees of a record; nil if nothing. Agents have their own names in it, until dress puts in those
// for visitors.
func newsOf(e *store.Entry) *news {
	if e.Locked {
		return nil
	}
	if e.Kind == store.KindMessage {
		return messageOf(e)
	}
	var t struct {
		Contact contact.About
		By      string
		What    string
		UpTo    int64 `json:"up_to"`
	}
	if !tells(e.Kind) || json.Unmarshal(e.Data, &t) != nil {
		return nil
	}
	n := &news{n: e.N, last: e.Kind == store.KindContactFinalized}
	switch {
	case e.Kind == store.KindMessageDelivered && t.By != string(desk.Visitor):
		n.frame = frame{Type: "delivered", Seq: t.UpTo}
	case e.Kind == store.KindMessageRead && t.By != string(desk.Visitor):
		n.frame = frame{Type: "read", Seq: t.UpTo}
	case e.Kind == store.KindMessageDelivered, e.Kind == store.KindMessageRead, e.Kind == store.KindContactUpdated && !moves[t.What]:
		return nil
	default:
		at := e.At.UTC()
		n.frame = frame{Type: "state", Seq: e.N, At: &at, Contact: seen(&t.Contact)}
		if e.Kind == store.KindContactAssigned {
			n.agent = e.Actor
		}
	}
	return n
}

// tells says whether a visitor sees something of such a record. How it began is in the welcome.
func tells(k store.Kind) bool {
	switch k {
	case store.KindContactQueued, store.KindContactOffered, store.KindContactMissed, store.KindContactAssigned,
		store.KindContactUpdated, store.KindContactClosed, store.KindContactFinalized, store.KindMessageDelivered, store.KindMessageRead:
		return true
	}
	return false
}

// moves are what a contact.updated is about when it is another state. All else, such as a note, is among agents.
var moves = map[string]bool{
	"turned_away": true, "transferring": true, "returned": true, "idle": true, "active": true, "held": true, "resumed": true,
}

// seen is what a visitor sees of a contact.
func seen(c *contact.About) *Contact {
	s := &Contact{ID: c.ID, State: c.State, Outcome: c.Outcome, Rating: c.Rating}
	if c.Agent != "" {
		s.Agent = &who{Name: c.Agent}
	}
	return s
}

// shown is a contact as it is now, with its agent's face.
func (a *account) shown(c *desk.Contact, f face) Contact {
	about := a.Contacts.About(c)
	s := seen(&about)
	if s.Agent != nil {
		*s.Agent = who(f)
	}
	if len(c.Emails) > 0 && a.mails() {
		s.Mail = masked(c.Emails[0])
	}
	if c.State.Waiting() {
		p := a.place(c)
		s.Position, s.Wait = p.position, p.wait
	}
	return *s
}

const (
	nsClient  = "jabber:client"
	nsCorrect = "urn:xmpp:message-correct:0"
)

// messageOf is a message; nil if there are no words in it.
func messageOf(e *store.Entry) *news {
	m, err := store.ParseMessage(e.Data)
	if err != nil {
		return nil // it is told where it is verified
	}
	st, err := wire.ParseInner(m.Decls, m.Inner)
	if err != nil {
		return nil
	}
	body := st.Child(nsClient, "body")
	if body == nil || st.Text(body) == "" {
		return nil
	}
	at := e.At.UTC()
	n := &news{n: e.N, frame: frame{Type: "message", Seq: e.N, ID: cmp.Or(m.ID, "n"+strconv.FormatInt(e.N, 10)), Text: st.Text(body), At: &at}}
	switch by := contact.SpokenBy(e); by.By {
	case desk.Agents:
		n.From, n.agent = &from{Kind: string(desk.Agents)}, e.Actor
	case desk.Visitor:
		n.From, n.mine = &from{Kind: string(desk.Visitor)}, m.ID
	default:
		n.From = &from{Kind: string(by.By)}
	}
	if c := st.Child(nsCorrect, "replace"); c != nil { // XEP-0308 §3
		n.Type, n.ID = "corrected", string(st.ChildAttr(c, "id"))
	}
	return n
}

// answers is the same record as the answer to the one who has said it.
func (n *news) answers() *news {
	return &news{n: n.n, frame: frame{Type: "said", ID: n.mine, Seq: n.Seq, At: n.At}}
}
