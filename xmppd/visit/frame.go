package visit

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// An asked is a frame of a client's.
type asked struct {
	Type    string            `json:"type"`
	Token   string            `json:"token"` // hello
	After   int64             `json:"after"`
	ID      string            `json:"id"` // say
	Text    string            `json:"text"`
	File    string            `json:"file"` // instead of text
	On      bool              `json:"on"`   // typing
	Seq     int64             `json:"seq"`  // read, received
	Name    string            `json:"name"`
	Fields  map[string]string `json:"fields"` // submit
	Email   string            `json:"email"`  // transcript
	Stars   int               `json:"stars"`  // rate
	Comment string            `json:"comment"`
}

const (
	// frameMax bounds a frame, and the body of a request, in bytes: a form with all its fields full.
	frameMax = 256 << 10
	// idMin and idMax bound the ids that clients make, in bytes.
	idMin, idMax = 1, 64
)

var errFrame = refusal{codeInvalid, "a frame is one JSON object in UTF-8 with a type"}

// parse reads a frame, and cleans and checks what its type has. Of an error it says
// as much as can be: the type, and the id of a say.
func parse(data []byte) (f asked, err error) {
	if !utf8.Valid(data) || !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) || json.Unmarshal(data, &f) != nil {
		return asked{}, errFrame
	}
	switch f.Type {
	case "hello":
		if f.After < 0 {
			err = refusal{codeInvalid, "after is a seq that was seen, or 0"}
		}
	case "say":
		if !isID(f.ID, idMin) {
			f.ID = ""
			return f, refusalf(codeInvalid, "the id of a say has %d to %d letters, digits and -_.:", idMin, idMax)
		}
		switch {
		case f.File == "":
			f.Text, err = message(f.Text)
		case f.Text != "":
			err = refusal{codeInvalid, "a say has a text or a file: say one after the other"}
		}
	case "read", "received":
		if f.Seq < 1 {
			err = refusal{codeInvalid, "seq is that of a message"}
		}
	case "submit":
		if f.Name, err = name(f.Name); err == nil {
			f.Fields, err = fields(f.Fields)
		}
	case "rate":
		f.Comment = cleaned(f.Comment)
		switch {
		case f.Stars < 1 || f.Stars > 5:
			err = refusal{codeInvalid, "stars are 1 to 5"}
		case tooLong(f.Comment, valueMax):
			err = refusalf(codeTooLong, "a comment has at most %d characters", valueMax)
		}
	case "typing", "close", "ping":
	case "transcript":
		if f.Email = strings.TrimSpace(f.Email); f.Email != "" && !isEmail(f.Email) {
			err = refusal{codeInvalid, "that is no e-mail address"}
		}
	default:
		f.Type = cut(oneLine(f.Type), nameMax)
		err = refusal{codeInvalid, "there is no such frame"}
	}
	return f, err
}

// isID says whether a client's id can be one.
func isID(id string, least int) bool {
	if len(id) < least || len(id) > idMax {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return true
}

// A frame is one of the server's.
type frame struct {
	Type     string     `json:"type"`
	Seq      int64      `json:"seq,omitempty"`
	ID       string     `json:"id,omitempty"`
	Of       string     `json:"of,omitempty"` // error: the type of what was asked
	From     *from      `json:"from,omitempty"`
	Text     string     `json:"text,omitempty"`
	File     *sentFile  `json:"file,omitempty"`
	At       *time.Time `json:"at,omitempty"`
	On       *bool      `json:"on,omitempty"`
	Contact  *Contact   `json:"contact,omitempty"`
	Position int        `json:"position,omitempty"`
	Wait     int        `json:"wait,omitempty"`
	Code     string     `json:"code,omitempty"`
	What     string     `json:"what,omitempty"` // ask
}

// A from is who says something.
type from struct {
	Kind   string `json:"kind"`
	Name   string `json:"name,omitempty"`
	Avatar string `json:"avatar,omitempty"` // a path on this host
}

// A Contact is a contact as its visitor sees it.
type Contact struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Agent    *who   `json:"agent,omitempty"`
	Position int    `json:"position,omitempty"` // in the queue, from 1
	Wait     int    `json:"wait,omitempty"`     // how long that will take, in seconds
	Outcome  string `json:"outcome,omitempty"`
	Rating   int    `json:"rating,omitempty"` // the stars that the visitor has given
	Mail     string `json:"mail,omitempty"`   // where a transcript may go to, for the eye only
}

type who struct {
	Name   string `json:"name"`
	Avatar string `json:"avatar,omitempty"`
}

// bytes is the frame as it is sent.
func (f *frame) bytes() []byte {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err) // there is nothing in it that can't be written
	}
	return b
}

func errorFrame(f *asked, r refusal) []byte {
	return (&frame{Type: "error", Of: f.Type, ID: f.ID, Code: r.code, Text: r.text}).bytes()
}

// A bye is why a connection ends.
type bye struct{ code, text string }

var (
	byeClosed    = bye{"closed", "the conversation is over"}
	byeExpired   = bye{"expired", errToken.text}
	byeElsewhere = bye{"elsewhere", "this conversation is open in other places"}
	byeRestart   = bye{"restart", "come back in a moment"}
	byeBanned    = bye{"banned", errBanned.text}
	byeInvalid   = bye{"invalid", "that is not how this protocol begins"}
	byeGone      = bye{} // nobody is there who could read it
)

func (b bye) bytes() []byte { return (&frame{Type: "bye", Code: b.code, Text: b.text}).bytes() }
