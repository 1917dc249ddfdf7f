package desk

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"parley.im/parley/store"
)

// Hand is Transfer for the account, whoever has the contact. One that waits is for others from then on.
func (d *Desk) Hand(id store.ConversationID, to Wants, note string, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error {
		c := ch.Is
		if !c.State.Open() {
			return ErrClosed
		}
		var has store.AgentID
		if c.State.Owned() {
			has = c.Owner
		}
		if err := d.findable(&to, has); err != nil {
			return err
		}
		if !c.State.Waiting() {
			return ch.handed(System, 0, to, note, now)
		}
		if err := ch.updated(change, System, 0, "rerouted", note, now); err != nil {
			return err
		}
		ch.Is.Wants, ch.Is.Passed = to, nil
		return nil
	}, done: done})
}

// Group is one of the desk's groups.
func (d *Desk) Group(name string) (Group, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g, ok := d.settings.Groups[name]
	return g, ok
}

// Suspend is Pause for the account: she is told, if she was not paused already.
func (d *Desk) Suspend(id store.AgentID, why string) {
	d.mu.Lock()
	defer d.unlock()
	d.pause(id, cmp.Or(why, "paused"))
	d.nudge()
}

// A Revision is one thing that is to be known otherwise of a contact. What says which, for those who hear of it.
type Revision struct {
	What string
	Set  func(*Contact)
}

// Revise is Set for several things at once, unless check, which may be nil, refuses what the contact is then.
func (d *Desk) Revise(id store.ConversationID, by Party, check func(*Contact) error, list []Revision, done Done) {
	d.do(id, input{do: func(_ *live, ch *Change, now time.Time) error { return ch.revised(by, check, list, now) }, done: done})
}

// Revised is Revise for a contact that is finalized, as it is kept: what a Keeper has to keep.
func (c *Contact) Revised(by Party, check func(*Contact) error, list []Revision, now time.Time) (*Change, error) {
	ch := &Change{Was: c, Is: c}
	return ch, ch.revised(by, check, list, now)
}

func (ch *Change) revised(by Party, check func(*Contact) error, list []Revision, now time.Time) error {
	if check != nil {
		if err := check(ch.Is); err != nil {
			return err
		}
	}
	for _, r := range list {
		if err := ch.updated(change, by, 0, r.What, "", now); err != nil {
			return err
		}
		r.Set(ch.Is)
	}
	return nil
}

// Tagged gives a contact these tags in place of those that it had.
func Tagged(tags []string) Revision {
	return Revision{"tags", func(c *Contact) { c.Tags = slices.Clone(tags) }}
}

// Prioritized has a contact served in another turn.
func Prioritized(priority int) Revision {
	return Revision{"priority", func(c *Contact) { c.Priority = priority }}
}

// Filled sets fields of a contact, and takes away those without a value.
func Filled(fields map[string]string) Revision {
	return Revision{"fields", func(c *Contact) { c.Fields = c.Filled(fields) }}
}

// Filled are the contact's fields as they would be with these.
func (c *Contact) Filled(fields map[string]string) map[string]string {
	all := make(map[string]string, len(c.Fields)+len(fields))
	maps.Copy(all, c.Fields)
	maps.Copy(all, fields)
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

// Noted is Note for a contact that is finalized, as it is kept: what a Keeper has to keep.
func (c *Contact) Noted(by Party, text string, now time.Time) (*Change, error) {
	ch := &Change{Was: c, Is: c}
	return ch, ch.noted(by, 0, text, now)
}
