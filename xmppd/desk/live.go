package desk

// Live is how many contacts there are that are not finalized.
func (d *Desk) Live() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.contacts)
}
