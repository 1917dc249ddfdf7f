package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// What packaging/build sets with -ldflags "-X main.release=v1.2.3" and so on, since the Go
// tool finds no git in a worktree, in an archive or in a container.
var release, commit, commitTime string

// A build is what a program says of itself to its operator. Strangers learn none of it:
// see im.Version.
type build struct {
	Version  string            `json:"version"`            // "v1.2.3", or "devel"
	Commit   string            `json:"commit,omitempty"`   // "" if it was built without git
	Time     string            `json:"time,omitempty"`     // of the commit: "2026-11-28T00:00:00Z"
	Modified bool              `json:"modified,omitempty"` // built from files that were not committed
	Go       string            `json:"go"`
	Platform string            `json:"platform"` // "linux/amd64"
	SQLite   string            `json:"sqlite"`
	Features []string          `json:"features"` // build tags and the like: "cgo", "race"
	Modules  map[string]string `json:"modules"`  // versions by path
}

// newBuild reads what the Go tool wrote into the program.
func newBuild(info *debug.BuildInfo) build {
	b := build{
		Version: release, Commit: commit, Time: commitTime, Modified: strings.HasSuffix(release, "-dirty"), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Features: []string{}, Modules: make(map[string]string),
	}
	b.SQLite, _, _ = sqlite3.Version()
	if b.Version == "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	if b.Version == "" {
		b.Version = "devel"
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = cmp.Or(b.Commit, s.Value)
		case "vcs.time":
			b.Time = cmp.Or(b.Time, s.Value)
		case "vcs.modified":
			b.Modified = b.Modified || s.Value == "true"
		case "-tags":
			b.Features = append(b.Features, strings.Split(s.Value, ",")...)
		case "CGO_ENABLED", "-race", "-trimpath":
			if s.Value == "1" || s.Value == "true" {
				b.Features = append(b.Features, strings.TrimPrefix(strings.ToLower(strings.TrimSuffix(s.Key, "_ENABLED")), "-"))
			}
		}
	}
	slices.Sort(b.Features)
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		b.Modules[m.Path] = m.Version
	}
	return b
}

// String is one line: "parley v1.2.3 (0123456789ab of 2026-11-28, go1.26.8, SQLite 3.51.0)".
func (b build) String() string {
	var parts []string
	if b.Commit != "" {
		commit := b.Commit[:min(12, len(b.Commit))]
		if day, _, ok := strings.Cut(b.Time, "T"); ok {
			commit += " of " + day
		}
		if b.Modified {
			commit += ", modified"
		}
		parts = append(parts, commit)
	}
	parts = append(parts, b.Go, "SQLite "+b.SQLite)
	return fmt.Sprintf("parley %s (%s)", b.Version, strings.Join(parts, ", "))
}

// version is this program in one line.
func version() string { return thisBuild().String() }

func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo) // built without modules, by another tool than Go's
	}
	return newBuild(info)
}

func printVersion(_ context.Context, c *call) error {
	if c.on("json") {
		return c.printJSON(thisBuild())
	}
	_, err := fmt.Fprintln(c.stdout, version())
	return err
}
