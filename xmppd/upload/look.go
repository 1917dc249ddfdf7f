package upload

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"parley.im/parley/store"
)

// mediaType is a media type without its parameters; "" for what is none.
func mediaType(s string) string {
	t, _, err := mime.ParseMediaType(s)
	if err != nil {
		return ""
	}
	return t
}

// taken says whether files of a type are.
func (f *Files) taken(typ string) bool {
	kind, _, _ := strings.Cut(typ, "/")
	return typ != "" && (slices.Contains(f.Limits.Types, typ) || slices.Contains(f.Limits.Types, kind+"/*") && !active[typ])
}

// active are types that browsers run, and that nobody gets in by a wildcard.
var active = map[string]bool{"text/html": true, "text/javascript": true, "text/xml": true, "image/svg+xml": true, "application/xhtml+xml": true}

// pictures are what may be shown where it stands: all else is downloaded.
var pictures = map[string]bool{"image/jpeg": true, "image/png": true, "image/gif": true, "image/webp": true}

// IsPicture says whether a file of that type may be shown by browsers where it stands.
func IsPicture(typ string) bool { return pictures[typ] }

// look says whether a file is what it says, and lets the operator's program look at it.
func (f *Files) look(ctx context.Context, is *store.File, d store.Draft) error {
	r, err := d.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if !fits(is.Type, head[:n]) {
		return refuse(BadType, "the file is not of the type that it says")
	}
	if len(f.Limits.Scan) == 0 {
		return nil
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return f.scan(ctx, r)
}

// fits says whether a file that begins so can be of a type. What the first bytes do not tell (office documents are
// archives, texts are anything) is not looked for further: it is never run, and only downloaded.
func fits(typ string, head []byte) bool {
	found := mediaType(http.DetectContentType(head))
	kind, _, _ := strings.Cut(typ, "/")
	switch {
	case len(head) == 0:
		return true
	case program(head):
		return typ == "application/octet-stream"
	case pictures[typ], typ == "application/pdf":
		return found == typ
	case kind == "text":
		return strings.HasPrefix(found, "text/") || found == "application/octet-stream" && utf8.Valid(head)
	case active[found] || found == "application/pdf" || pictures[found]:
		return false // it is something else
	case kind == "image":
		return found == "application/octet-stream" || strings.HasPrefix(found, "image/") || found == "video/mp4" // HEIC and AVIF are of that form
	case kind == "audio", kind == "video":
		return found == "application/octet-stream" || found == "application/ogg" || strings.HasPrefix(found, "audio/") || strings.HasPrefix(found, "video/")
	}
	return true
}

// program says whether a file begins as what an operating system runs.
func program(head []byte) bool {
	for _, magic := range []string{"MZ", "\x7fELF", "#!", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe"} {
		if strings.HasPrefix(string(head), magic) {
			return true
		}
	}
	return false
}

// scanFor is how long the operator's program may look.
const scanFor = time.Minute

// scansAtOnce is how many such programs of an account run at a time. Other accounts' do not wait for them, since one of them may hang.
const scansAtOnce = 2

// scan has a program read the file on its standard input. Exit code 0 lets the file in, 1 does not; with
// anything else, and with none in time, nobody knows, and the file does not come in either.
func (f *Files) scan(ctx context.Context, r io.Reader) error {
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, scanFor)
	defer cancel()
	select {
	case f.scanning <- struct{}{}:
		defer func() { <-f.scanning }()
	case <-ctx.Done():
		return refuse(Later, "too many files are being looked at; try again in a minute")
	}
	cmd := exec.CommandContext(ctx, f.Limits.Scan[0], f.Limits.Scan[1:]...)
	cmd.Stdin = r
	cmd.Env = environment()
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if cmd.ProcessState != nil && cmd.ProcessState.Exited() {
		switch cmd.ProcessState.ExitCode() {
		case 0: // it need not have read all of it
			return nil
		case 1:
			return refuse(Harmful, "the file may do harm, so it was not taken")
		}
	}
	if asked.Err() != nil { // whoever sends has gone: that is not the program's fault
		return refuse(Broken, "the file did not arrive whole")
	}
	f.Log.Error("the program that looks at files failed: no file is taken until it works", "program", f.Limits.Scan[0], "err", err)
	return refuse(Later, "files can't be looked at now; try again later")
}

// environment is what the operator's program may know of the server's: it looks at what strangers send, and the server's may hold secrets.
func environment() []string {
	list := []string{} // nil would be all of it
	for _, name := range []string{"PATH", "HOME", "LANG", "TMPDIR", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			list = append(list, name+"="+value)
		}
	}
	return list
}

// nameMax is how many characters of a name are kept.
const nameMax = 120

// CleanName is a stranger's name for a file: without folders, in one line, without what changes the direction of writing.
func CleanName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.In(r, unicode.Cf), r == unicode.ReplacementChar, unicode.IsControl(r):
			return -1
		case unicode.IsSpace(r):
			return ' '
		case strings.ContainsRune(`/\:*?"<>|`, r):
			return '_'
		}
		return r
	}, name)
	name = strings.Trim(strings.Join(strings.Fields(name), " "), ". ")
	if utf8.RuneCountInString(name) > nameMax {
		ext := []rune(path.Ext(name))
		if len(ext) > 12 {
			ext = nil
		}
		runes := []rune(name)
		name = string(runes[:nameMax-len(ext)]) + string(ext)
	}
	if name == "" {
		return "file"
	}
	return name
}
