// Package sqlite keeps an account in SQLite files of its own.
//
// One writer goroutine takes whatever waits and commits it together, so that all
// share one fsync. It hands what it decided to one dispatcher goroutine, which
// calls each batch's Done in the order of ordinals while the writer already works
// on the next group. A third, the keeper, copies the write-ahead log into the file
// and closes what nobody uses. Readers have connections of their own.
//
// In a sealed account each record is encrypted by the writer with its
// conversation's secret, which was durable in the key database before the
// conversation's first row. Each conversation's header holds the number of its
// records and a running hash over them, so that a record that was changed, moved
// or removed is noticed.
package sqlite
