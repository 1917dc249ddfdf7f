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

// take removes one.
func (r *rows) take(i int) *job {
	j := (*r)[i]
	*r = slices.Delete(*r, i, i+1)
	return j
}
