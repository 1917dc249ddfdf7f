package sqlite

import (
	"slices"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// blockSize is how many records of a conversation share a row of place. It is part of
// the format on disk.
const blockSize = 16

// A chain is a conversation's records as its header knows them: each leads to the one
// before it, the last is the header's, and place holds the last of each whole block.
type chain struct {
	id      store.ConversationID
	n, last int64
	gone    int64 // records up to this n were destroyed, or are being
	dying   bool  // it is these that are read
}

// blockOf is the block that holds record n; the first is 1.
func blockOf(n int64) int64 { return (n-1)/blockSize + 1 }

// blocks is how many there are.
func (c *chain) blocks() int64 { return blockOf(c.n) }

// read reads a block, in the order of n; sealed values only up to a size, as in columns.
// Where the chain is broken, which only somebody else can have done, it looks through
// the log for what there is.
func (c *chain) read(db *conn.Conn, block int64, upTo int) ([]record, error) {
	low, high := max((block-1)*blockSize, c.gone)+1, min(block*blockSize, c.n)
	if low > high {
		return nil, nil
	}
	end, err := c.end(db, block)
	if err != nil {
		return nil, err
	}
	records, err := c.back(db, end, high, high-low+1, upTo)
	if err != nil {
		return nil, err
	}
	if int64(len(records)) <= high-low {
		if low, err = c.left(db, low); err != nil {
			return nil, err
		}
		if int64(len(records)) <= high-low {
			return c.search(db, block, low, high, upTo)
		}
		records = records[:max(high-low+1, 0)]
	}
	slices.Reverse(records)
	return records, nil
}

// left is from where on records are to be expected, if more were destroyed since the
// header was read.
func (c *chain) left(db *conn.Conn, low int64) (int64, error) {
	if c.dying {
		return low, nil
	}
	gone, err := db.Number("SELECT gone FROM conversation WHERE id = ?", int64(c.id))
	return max(low, gone+1), err
}

// back walks back from record n, whose ordinal is end, as far as the chain holds. A
// recursive query would cost as much, and not let values be read along.
func (c *chain) back(db *conn.Conn, end, n, count int64, upTo int) ([]record, error) {
	records := make([]record, 0, count)
	for ; count > 0; count-- {
		var r record
		found, err := db.One("SELECT "+columns+" FROM log l WHERE ordinal = ?", []any{upTo, end}, func(row conn.Row) { r = scan(row) })
		if err != nil {
			return nil, err
		}
		if !found || r.entry.N != n || r.entry.Conversation != c.id {
			break
		}
		records = append(records, r)
		n, end = n-1, r.prev
	}
	return records, nil
}

// end is the ordinal of a block's last record.
func (c *chain) end(db *conn.Conn, block int64) (int64, error) {
	if block*blockSize > c.n {
		return c.last, nil
	}
	return db.Number("SELECT ordinal FROM place WHERE conversation = ? AND block = ?", int64(c.id), block)
}

// search finds a block's records without the chain.
func (c *chain) search(db *conn.Conn, block, low, high int64, upTo int) (records []record, err error) {
	from, err := db.Number("SELECT max(ordinal) FROM place WHERE conversation = ? AND block < ?", int64(c.id), block)
	if err != nil {
		return nil, err
	}
	err = db.Query(`SELECT `+columns+`
		FROM log l
		WHERE ordinal > ? AND ordinal <= ? AND conversation = ? AND n BETWEEN ? AND ?
		ORDER BY n`, []any{upTo, from, c.last, int64(c.id), low, high}, func(r conn.Row) error {
		records = append(records, scan(r))
		return nil
	})
	return records, err
}

// blockAfter finds the first block, of those that hold low to high, that ends after an
// ordinal. Within a conversation ordinals grow with n.
func (c *chain) blockAfter(db *conn.Conn, o, low, high int64) (int64, error) {
	first, last := blockOf(low), blockOf(high)
	for first < last {
		middle := (first + last) / 2
		end, err := c.end(db, middle)
		if err != nil {
			return 0, err
		}
		if end > o {
			last = middle
		} else {
			first = middle + 1
		}
	}
	return first, nil
}

// firstAfter finds the lowest n, of those from low to high, whose ordinal is above o;
// high+1 if there is none.
func (c *chain) firstAfter(db *conn.Conn, o, low, high int64) (int64, error) {
	if low > high || o >= c.last {
		return high + 1, nil
	}
	block, err := c.blockAfter(db, o, low, high)
	if err != nil {
		return 0, err
	}
	records, err := c.read(db, block, noValues)
	if err != nil {
		return 0, err
	}
	for i := range records {
		if e := &records[i].entry; int64(e.Ordinal) > o && e.N >= low {
			return min(e.N, high+1), nil
		}
	}
	return min(block*blockSize, high) + 1, nil
}
