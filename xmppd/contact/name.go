package contact

import "parley.im/parley/store"

// NameOf is what an agent is called; "" if there is none.
func (k *Contacts) NameOf(id store.AgentID) string { return k.config.Name(id) }
