// Package conf reads parley.toml. Every option is a field of File or of a
// struct inside it: its name and default stand in the field's tag, what it means
// in the field's comment, and nowhere else; the sample that Sample returns is
// made from them. The tag changes:"restart" is for those that a server which runs
// does not take over.
//
// All faults of a file are reported at once, each with its line. The package
// looks at text only: whether a certificate or a folder is any good is checked
// by who uses it, who reports it with File.Fault at the same line.
package conf
