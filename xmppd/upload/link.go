package upload

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"parley.im/parley/store"
)

// Prefix is where all paths begin. What follows is account/file/signature/name: all that a link says stands in its path, which
// is the same whenever it is made, so that caches know it again.
const Prefix = "/files/"

// signatureSize is that of what links are signed with, in bytes.
const signatureSize = 16

// sign is a signature of what a link is for.
func (f *Files) sign(parts ...string) string {
	mac := hmac.New(sha256.New, f.key)
	for _, p := range parts {
		fmt.Fprintf(mac, "%d:%s", len(p), p)
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:signatureSize])
}

func (f *Files) link(id, name string, until time.Time) string {
	end := strconv.FormatInt(until.Unix(), 36)
	return f.Origin() + Prefix + f.ID + "/" + id + "/" + end + "." + f.sign("get", id, end) + "/" + url.PathEscape(name)
}

// Link is where a file is got, for whoever has it.
func (f *Files) Link(is *store.File) string {
	return f.link(is.ID, is.Name, is.Made.Add(f.Limits.Links))
}

// valid says whether a part of a link was signed here, and until when it holds.
func (f *Files) valid(signed string, parts ...string) (until time.Time, ok bool) {
	end, signature, _ := strings.Cut(signed, ".")
	seconds, err := strconv.ParseInt(end, 36, 64)
	want := f.sign(append(parts, end)...)
	return time.Unix(seconds, 0), err == nil && hmac.Equal([]byte(signature), []byte(want))
}

// Linked is the file that a text is a link to, and nothing else; "" if it is none of ours. The link may hold no more, and
// may lead where the server was found before: the signature tells.
func (f *Files) Linked(text string) (id string) {
	rest, https := strings.CutPrefix(strings.TrimSpace(text), "https://")
	_, path, _ := strings.Cut(rest, "/")
	path, ours := strings.CutPrefix("/"+path, Prefix+f.ID+"/")
	parts := strings.Split(path, "/")
	if !https || !ours || len(parts) != 3 || strings.ContainsAny(rest, " \n") {
		return ""
	}
	if _, ok := f.valid(parts[1], "get", parts[0]); !ok {
		return ""
	}
	return parts[0]
}

// slotFor is how long a slot can be used.
const slotFor = 5 * time.Minute

// Slot is where an agent's client puts a file, once, and where it then is (XEP-0363 §4).
func (f *Files) Slot(agent store.AgentID, name, typ string, size int64) (put, get string, err error) {
	if err := f.Check(typ, size); err != nil {
		return "", "", err
	}
	id, now := NewID(), f.Now()
	name, typ = CleanName(name), mediaType(typ)
	end := strconv.FormatInt(now.Add(slotFor).Unix(), 36)
	who, bytes := strconv.FormatInt(int64(agent), 10), strconv.FormatInt(size, 10)
	put = f.Origin() + Prefix + f.ID + "/" + id + "/" + end + "." + f.sign("put", id, who, bytes, typ, end) + "/" + url.PathEscape(name) +
		"?" + url.Values{"agent": {who}, "size": {bytes}, "type": {typ}}.Encode()
	return put, f.link(id, name, now.Add(f.Limits.Links)), nil
}
