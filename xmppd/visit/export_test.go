package visit

import (
	"time"

	"parley.im/parley/xmppd/desk"
)

// SetWriteTime changes how long a client may take to read. It is for a Server without visitors.
func (s *Server) SetWriteTime(d time.Duration) { s.writeTime = d }

// TellPlaces does what Run does now and then.
func (s *Server) TellPlaces() {
	for _, a := range s.all() {
		a.look(s.cfg.Now())
	}
}

// Beat asks all clients whether they are there, as Run does in a turn of the wheel; twice, since whoever was
// heard once is not asked.
func (s *Server) Beat() {
	for range 2 {
		for slot := range slots {
			s.wheel.turn(slot)
		}
	}
}

// Behind has an account take a contact for what it was, as if it had not heard of more.
func (s *Server) Behind(account string, c *desk.Contact) {
	for _, a := range s.all() {
		if a.ID == account {
			a.talkOf(c).becomes(c)
		}
	}
}

// Parse is parse.
func Parse(data []byte) (kind, id, text string, err error) {
	f, err := parse(data)
	return f.Type, f.ID, f.Text, err
}

// Untold is untold.
func Untold(photo []byte) (is []byte, kind string) { return untold(photo) }
