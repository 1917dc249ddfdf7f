package hook

import (
	"encoding/json"
	"strings"

	"parley.im/parley/store"
)

// A contactID names a contact in a body: by the local part of its JID.
type contactID struct {
	ID string `json:"id"`
}

// contactOf is the contact that a message was said in; nil where agents talk with each other.
func (a *Account) contactOf(m *store.Message) *contactID {
	for _, jid := range [...]string{m.From, m.To} {
		local, host, _ := strings.Cut(bare(jid), "@")
		if host == "visitors."+a.Domain {
			return &contactID{local}
		}
	}
	return nil
}

// isContact says whether an event is of a contact, so that its data say which.
func isContact(k store.Kind) bool {
	name := k.Event()
	return strings.HasPrefix(name, "contact.") || k == store.KindMessageDelivered || k == store.KindMessageRead || strings.HasPrefix(name, "attachment.") || k == store.KindVisitorIdentified
}

// personal are the parts of a contact's events that say who somebody is, or what was said.
var personal = []string{"person", "note", "reason", "name"}

// contactData is the data of a contact's event, without those parts if it is thin, and which
// contact it is.
func contactData(data []byte, thin bool) (id string, rest []byte, err error) {
	var is struct {
		Contact contactID `json:"contact"`
	}
	if err := json.Unmarshal(data, &is); err != nil || !thin {
		return is.Contact.ID, data, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return "", nil, err
	}
	for _, name := range personal {
		delete(all, name)
	}
	rest, err = json.Marshal(all)
	return is.Contact.ID, rest, err
}
