// Package upload takes the files that visitors and agents send, and gives them to whoever has a link.
//
// A file is sealed as it comes, looked at (size, type, and a program of the operator's, if there is one), and
// only then becomes one. A link names the file and says until when it holds, signed with a secret of the account's: who
// has it needs no other right, and a cache between may keep what it gives. It gives nothing that a browser would
// run: what is no picture is to be downloaded, whatever it says that it is.
package upload
