package widget

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed web
var embedded embed.FS

// A file is one of the widget's, as it is sent.
type file struct {
	kind            string // its media type
	tag             string // the beginning of its entity tags
	plain, squeezed []byte
}

type files struct {
	version       string // of all that is in assets: another one has other addresses
	loader, frame file
	assets        map[string]file
}

// load reads what is embedded. The frame names its assets with their version, so that they can be kept for ever.
func load() *files {
	sum := sha256.New()
	all := &files{assets: map[string]file{}}
	texts := map[string][]byte{}
	err := fs.WalkDir(embedded, "web", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := embedded.ReadFile(p)
		name := strings.TrimPrefix(p, "web/")
		texts[name] = text
		sum.Write([]byte(name + "\x00"))
		sum.Write(text)
		return err
	})
	if err != nil {
		panic(err) // they are in the program itself
	}
	all.version = hex.EncodeToString(sum.Sum(nil))[:16]
	for name, text := range texts {
		switch name {
		case "loader.js":
			all.loader = newFile(name, text)
		case "index.html":
			all.frame = newFile(name, bytes.ReplaceAll(text, []byte("VERSION"), []byte(all.version)))
		default:
			all.assets[name] = newFile(name, text)
		}
	}
	return all
}

func newFile(name string, text []byte) file {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is one that there is
	z.Write(text)                                         // memory takes it all
	z.Close()
	sum := sha256.Sum256(text)
	kind := mime.TypeByExtension(path.Ext(name))
	if path.Ext(name) == ".js" {
		kind = "text/javascript; charset=utf-8" // whatever the machine's own table says (RFC 9239 §6)
	}
	return file{kind: kind, tag: hex.EncodeToString(sum[:8]), plain: text, squeezed: b.Bytes()}
}

// serve sends the file, or says that the one that the browser has is still it.
func (f *file) serve(w http.ResponseWriter, r *http.Request, caching string) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", caching)
	h.Set("Vary", "Accept-Encoding")
	body, tag := f.plain, f.tag
	if squeezes(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body, tag = f.squeezed, tag+"-gzip" // other bytes have another tag (RFC 9110 §8.8.3.3)
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// squeezes says whether gzip is among the encodings that a client takes.
func squeezes(accepted string) bool {
	for one := range strings.SplitSeq(accepted, ",") {
		name, weight, _ := strings.Cut(one, ";")
		if name = strings.TrimSpace(name); name == "gzip" || name == "*" {
			return strings.Trim(strings.ReplaceAll(weight, " ", ""), "0.") != "q=" // "q=0.0" is none
		}
	}
	return false
}
