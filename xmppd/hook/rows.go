package hook

import "slices"

// rows are jobs in the order in which they are due.
type rows []*job

func (r *rows) add(j *job) {
	i, _ := slices.BinarySearchFunc(*r, j, func(a, b *job) int {
		if a.due.After(b.due) {
			return 1
		}
		return -1 // what is due at the same time keeps its order
	})
	*r = slices.Insert(*r, i, j)
}

// take removes the first.
func (r *rows) take() *job {
	j := (*r)[0]
	*r = slices.Delete(*r, 0, 1)
	return j
}
