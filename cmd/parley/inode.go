package main

import (
	"io/fs"
	"syscall"
)

// inode is a file's number, which a file that takes its place does not have.
func inode(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}
