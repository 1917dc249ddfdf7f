package desk

import "time"

// Limits are how many conversations an agent has at a time, and how many she is asked to take.
func (d *Desk) Limits(s *Standing) (conversations, offers int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.Limit > 0 {
		return s.Limit, d.settings.Offers
	}
	return d.settings.Limit, d.settings.Offers
}

// Today is when the day began at which it is now, by the clock of the business hours.
func (d *Desk) Today() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	zone := d.settings.Hours.Zone
	if zone == nil {
		zone = time.UTC
	}
	year, month, day := d.config.Now().In(zone).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, zone)
}
