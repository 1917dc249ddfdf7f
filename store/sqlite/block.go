package sqlite

import (
	"slices"

	"parley.im/parley/store"
	"parley.im/parley/store/sqlite/conn"
)

// blockSize is how many records of a conversation share a row of place. It is part of
// the format on disk.
const blockSize = 16

// A mark is what is looked at of a record before it is fetched.
type mark struct {
	ordinal, n, at int64
	kind           store.Kind
	actor          store.AgentID
}

// A chain is a conversation's records as its header knows them: each leads to the one
// before it, the last is the header's, and place holds the last of each whole block.
type chain struct {
	id      store.ConversationID
	n, last int64
}

// blockOf is the block that holds record n; the first is 1.
func blockOf(n int64) int64 { return (n-1)/blockSize + 1 }

// blocks is how many there are.
func (c *chain) blocks() int64 { return blockOf(c.n) }

const walkBack = `WITH RECURSIVE back (ordinal, conversation, n, at, kind, actor, prev) AS (
	SELECT ordinal, conversation, n, at, kind, actor, prev
	FROM log
	WHERE ordinal = ?
	UNION ALL
	SELECT l.ordinal, l.conversation, l.n, l.at, l.kind, l.actor, l.prev
	FROM back
	JOIN log l ON l.ordinal = back.prev
	LIMIT ?
)
SELECT ordinal, n, at, kind, actor, conversation
FROM back`

// read reads a block, in the order of n. Where the chain is broken, which only somebody
// else can have done, it looks through the log for what there is.
func (c *chain) read(db *conn.Conn, block int64) ([]mark, error) {
	end, err := c.end(db, block)
	if err != nil {
		return nil, err
	}
	low, high := (block-1)*blockSize+1, min(block*blockSize, c.n)
	marks, err := c.back(db, end, high, high-low+1)
	if err != nil {
		return nil, err
	}
	if int64(len(marks)) <= high-low {
		return c.search(db, block, low, high)
	}
	slices.Reverse(marks)
	return marks, nil
}

// back walks back from record n, whose ordinal is end, as far as the chain holds.
func (c *chain) back(db *conn.Conn, end, n, count int64) ([]mark, error) {
	marks := make([]mark, 0, count)
	err := db.Query(walkBack, []any{end, count}, func(r conn.Row) error {
		m := scanMark(r)
		if m.n != n || store.ConversationID(r.Int(5)) != c.id {
			return errEnough
		}
		n--
		marks = append(marks, m)
		return nil
	})
	return marks, notEnough(err)
}

// end is the ordinal of a block's last record.
func (c *chain) end(db *conn.Conn, block int64) (int64, error) {
	if block*blockSize > c.n {
		return c.last, nil
	}
	return db.Number("SELECT ordinal FROM place WHERE conversation = ? AND block = ?", int64(c.id), block)
}

// search finds a block's records without the chain.
func (c *chain) search(db *conn.Conn, block, low, high int64) (marks []mark, err error) {
	from, err := db.Number("SELECT max(ordinal) FROM place WHERE conversation = ? AND block < ?", int64(c.id), block)
	if err != nil {
		return nil, err
	}
	err = db.Query(`SELECT ordinal, n, at, kind, actor
		FROM log
		WHERE ordinal > ? AND ordinal <= ? AND conversation = ? AND n BETWEEN ? AND ?
		ORDER BY n`, []any{from, c.last, int64(c.id), low, high}, func(r conn.Row) error {
		marks = append(marks, scanMark(r))
		return nil
	})
	return marks, err
}

func scanMark(r conn.Row) mark {
	return mark{r.Int(0), r.Int(1), r.Int(2), store.Kind(r.Int(3)), store.AgentID(r.Int(4))}
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
	marks, err := c.read(db, block)
	if err != nil {
		return 0, err
	}
	for _, m := range marks {
		if m.ordinal > o && m.n >= low {
			return min(m.n, high+1), nil
		}
	}
	return min(block*blockSize, high) + 1, nil
}
