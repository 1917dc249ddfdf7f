package im

import (
	"strconv"
	"time"

	"parley.im/parley/xmppd/wire"
)

// NSUpload is that of slots for files (XEP-0363).
const NSUpload = "urn:xmpp:http:upload:0"

// UploadInfo is what the place of files says of itself; size is that of the largest, in bytes (XEP-0363 §3).
func UploadInfo(size int64) *Info {
	return &Info{
		Identities: []Identity{{Category: "store", Type: "file", Name: "Files"}},
		Features:   []string{NSDiscoInfo, NSUpload},
		Forms:      []Form{{Type: NSUpload, Fields: []Field{{Var: "max-file-size", Values: []string{strconv.FormatInt(size, 10)}}}}},
	}
}

// AppendSlot writes where a file is put and got (XEP-0363 §4).
func AppendSlot(b []byte, put, get string) []byte {
	b = wire.AppendAttr(append(b, "<slot xmlns='"+NSUpload+"'><put"...), "url", put)
	b = wire.AppendAttr(append(b, "/><get"...), "url", get)
	return append(b, "/></slot>"...)
}

// TooLarge is what a client sees of the largest size, RetryAt of when to try again (XEP-0363 §6).
func TooLarge(size int64) string {
	return "<file-too-large xmlns='" + NSUpload + "'><max-file-size>" + strconv.FormatInt(size, 10) + "</max-file-size></file-too-large>"
}

// RetryAt is the time when a client may ask again.
func RetryAt(t time.Time) string {
	return "<retry xmlns='" + NSUpload + "' stamp='" + t.UTC().Format(time.RFC3339) + "'/>"
}
