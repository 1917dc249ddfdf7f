package conf

import (
	"fmt"
	"regexp"
	"time"
)

// A Files is the table files of an account: what its visitors and agents can send each other.
type Files struct {
	// The largest file. "0" takes none.
	Size Size `toml:"size" default:"'10 MiB'" min:"0"`
	// All files of one conversation with a visitor ...
	Contact Size `toml:"contact" default:"'50 MiB'" min:"0"`
	// ... and all that the account keeps.
	Total Size `toml:"total" default:"'10 GiB'" min:"0"`
	// Which types are taken; "image/*" is all of a kind but what browsers run.
	Types []string `toml:"types" default:"['image/jpeg', 'image/png', 'image/gif', 'image/webp', 'image/heic', 'application/pdf', 'text/plain', 'text/csv', 'audio/*', 'video/mp4', 'video/webm', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', 'application/vnd.openxmlformats-officedocument.presentationml.presentation', 'application/vnd.oasis.opendocument.text', 'application/vnd.oasis.opendocument.spreadsheet']"`
	// How long a link to a file holds.
	Links time.Duration `toml:"links" default:"'168h'" min:"1m"`
	// A program that looks at each file before it is taken, and its arguments, such as ["clamdscan", "--no-summary", "-"]. It reads the file from its standard input: exit code 0 lets it
	// in, 1 does not; with any other none is taken. An empty list is no such program.
	Scan []string `toml:"scan" default:"[]"`
}

var mediaType = regexp.MustCompile(`^[a-z]+/(\*|[a-z0-9][a-z0-9.+-]*)$`)

func (f *File) checkFiles(add func(*Fault)) {
	for i := range f.Accounts {
		files, key := &f.Accounts[i].Files, element("account", i)
		for _, t := range files.Types {
			if !mediaType.MatchString(t) {
				add(f.Fault(key+".files.types", `such as "image/png", or "image/*"`, "%v", fmt.Errorf("not a media type: %q", t)))
			}
		}
	}
}
