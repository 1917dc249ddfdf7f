package sqlite

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"parley.im/parley/store"
	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// A sealedOwn is a row of the table own.
type sealedOwn struct {
	agent  store.AgentID
	part   store.Part
	slot   []byte
	sealed []byte // nil takes the row away
}

// KeepOwn keeps what agents have of their own, in one transaction.
func (a *Account) KeepOwn(ctx context.Context, list ...store.Own) error {
	rows, err := a.sealOwn(ctx, list)
	if err == nil {
		err = a.update(ctx, func(db *conn.Conn) error { return keepOwn(db, rows) })
	}
	if err != nil {
		return fmt.Errorf("keep what is an agent's own: %w", err)
	}
	return nil
}

func (a *Account) sealOwn(ctx context.Context, list []store.Own) ([]sealedOwn, error) {
	rows := make([]sealedOwn, len(list))
	for i, o := range list {
		rows[i] = sealedOwn{agent: o.Agent, part: o.Part, slot: a.marker.slot(o.Agent, o.Part, o.Name)}
		if o.Value == nil {
			continue
		}
		box, err := a.agentBox(ctx, o.Agent)
		if err != nil {
			return nil, err
		}
		plain := binary.AppendUvarint(nil, uint64(len(o.Name)))
		plain = append(append(plain, o.Name...), o.Value...)
		rows[i].sealed = box.Seal(nil, plain, ownPlace(o.Part, rows[i].slot))
	}
	return rows, nil
}

func keepOwn(db *conn.Conn, rows []sealedOwn) error {
	for _, r := range rows {
		if r.sealed == nil {
			if err := db.Exec("DELETE FROM own WHERE agent = ? AND part = ? AND slot = ?",
				int64(r.agent), int(r.part), r.slot); err != nil {
				return err
			}
			continue
		}
		// An agent may have been deleted meanwhile.
		if err := changed(db, `INSERT OR REPLACE INTO own (agent, part, slot, sealed)
			SELECT id, ?, ?, ?
			FROM agent
			WHERE id = ?`, int(r.part), r.slot, r.sealed, int64(r.agent)); err != nil {
			return err
		}
	}
	return nil
}

func ownPlace(part store.Part, slot []byte) *seal.Place {
	return &seal.Place{Kind: uint8(part), Field: "own " + string(slot)}
}

// slot is by what a thing of an agent's own is found: 16 bytes of HMAC(account's index
// key, "own" ‖ agent ‖ part ‖ name), each with its length before it.
func (m *marker) slot(agent store.AgentID, part store.Part, name string) []byte {
	w := m.macs.Get().(*marking)
	defer m.macs.Put(w)
	b := append(w.buf[:0], "\x03own\x08"...)
	b = binary.BigEndian.AppendUint64(b, uint64(agent))
	b = append(b, 1, byte(part))
	b = binary.BigEndian.AppendUint32(b, uint32(len(name)))
	b = append(b, name...)
	w.mac.Reset()
	w.mac.Write(b)
	w.buf = w.mac.Sum(b)
	return slices.Clone(w.buf[len(b) : len(b)+16])
}

// OwnOf yields a part of what an agent has of her own, by name.
func (a *Account) OwnOf(ctx context.Context, agent store.AgentID, part store.Part, yield func(name string, value []byte) error) error {
	list, err := a.ownOf(ctx, agent, "agent = ? AND part = ?", int64(agent), int(part))
	if err != nil {
		return fmt.Errorf("read what is agent %d's own: %w", agent, err)
	}
	slices.SortFunc(list, func(x, y store.Own) int { return strings.Compare(x.Name, y.Name) })
	for _, o := range list {
		if err := yield(o.Name, o.Value); err != nil {
			return err
		}
	}
	return nil
}

// OwnNamed is one thing of what an agent has of her own, nil if there is none.
func (a *Account) OwnNamed(ctx context.Context, agent store.AgentID, part store.Part, name string) ([]byte, error) {
	list, err := a.ownOf(ctx, agent, "agent = ? AND part = ? AND slot = ?", int64(agent), int(part), a.marker.slot(agent, part, name))
	if err != nil {
		return nil, fmt.Errorf("read what is agent %d's own: %w", agent, err)
	}
	for _, o := range list {
		if o.Name == name {
			return o.Value, nil
		}
	}
	return nil, nil
}

// ownOf reads what an agent has of her own, of which that is true.
func (a *Account) ownOf(ctx context.Context, agent store.AgentID, where string, args ...any) ([]store.Own, error) {
	var rows []sealedOwn
	err := a.read(ctx, func(db *conn.Conn) error {
		return db.Query("SELECT part, slot, sealed FROM own WHERE "+where, args, func(r conn.Row) error {
			rows = append(rows, sealedOwn{part: store.Part(r.Int(0)), slot: r.Blob(1), sealed: r.Blob(2)})
			return nil
		})
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	box, err := a.agentBox(ctx, agent)
	if err != nil {
		return nil, err
	}
	list := make([]store.Own, len(rows))
	for i, r := range rows {
		plain, err := box.Open(nil, r.sealed, ownPlace(r.part, r.slot))
		n, w := binary.Uvarint(plain)
		if err != nil || w <= 0 || n > uint64(len(plain)-w) {
			return nil, store.ErrTampered
		}
		list[i] = store.Own{Name: string(plain[w : w+int(n)]), Value: plain[w+int(n):]}
	}
	return list, nil
}
