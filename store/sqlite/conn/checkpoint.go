package conn

// A Mode is how thorough a checkpoint is.
type Mode string

// The modes of a checkpoint: Look does nothing, Passive waits for nobody, Restart
// makes the next writer begin the log anew, Truncate empties the file too.
const (
	Look     Mode = "NOOP"
	Passive  Mode = "PASSIVE"
	Restart  Mode = "RESTART"
	Truncate Mode = "TRUNCATE"
)

// Checkpoint copies the write-ahead log into the file. It answers how many pages
// the log held, and whether all that the mode asks for was done.
func (c *Conn) Checkpoint(m Mode) (pages int64, complete bool, err error) {
	_, err = c.One("PRAGMA wal_checkpoint("+string(m)+")", nil, func(r Row) {
		pages, complete = r.Int(1), r.Int(0) == 0
		if m == Passive {
			complete = r.Int(1) == r.Int(2)
		}
	})
	return pages, complete, err
}
