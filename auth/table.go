package auth

import "container/list"

// A table remembers a bounded number of things; what was touched longest ago is
// forgotten first.
type table[V any] struct {
	max   int
	order *list.List // of *entry[V], the last touched in front
	at    map[uint64]*list.Element
}

type entry[V any] struct {
	key   uint64
	value V
}

func newTable[V any](size int) table[V] {
	return table[V]{max: size, order: list.New(), at: map[uint64]*list.Element{}}
}

// get is what is kept under key, or nil.
func (t *table[V]) get(key uint64) *V {
	e := t.at[key]
	if e == nil {
		return nil
	}
	t.order.MoveToFront(e)
	return &e.Value.(*entry[V]).value
}

// put is what is kept under key, from now on if not before.
func (t *table[V]) put(key uint64) *V {
	if v := t.get(key); v != nil {
		return v
	}
	if t.order.Len() >= t.max {
		t.drop(t.order.Back().Value.(*entry[V]).key)
	}
	e := &entry[V]{key: key}
	t.at[key] = t.order.PushFront(e)
	return &e.value
}

func (t *table[V]) drop(key uint64) {
	if e := t.at[key]; e != nil {
		t.order.Remove(e)
		delete(t.at, key)
	}
}
