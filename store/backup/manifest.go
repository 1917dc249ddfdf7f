package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"parley.im/parley/store/seal"
	"parley.im/parley/store/sqlite/conn"
)

// A Kind is what a copy is of. Data and keys have targets of their own.
type Kind string

// The kinds. People, who visitors are, and settings, which hold no secrets, are copied with the data.
const (
	Data     Kind = "data"
	Keys     Kind = "keys"
	People   Kind = "people"
	settings Kind = "settings"
)

const manifestFormat = 1

// A Manifest says what belongs to one copy. It tells names, sizes, times and hashes of
// sealed pieces, and nothing of what is in them.
type Manifest struct {
	Format  int       `json:"format"`
	Kind    Kind      `json:"kind"`
	Time    time.Time `json:"time"` // what was kept before is in it
	Program string    `json:"program"`
	Chains  []Chain   `json:"chains"`

	signed     []byte // what the signatures are of; set by parseManifest
	signatures []signature
}

// A Chain is one account's: a full piece, and the increments that follow it.
type Chain struct {
	Kind    Kind      `json:"kind"`
	Account string    `json:"account"`
	Schema  int       `json:"schema"`
	Time    time.Time `json:"time"` // earlier than the manifest's where the account could not be read
	Pieces  []Piece   `json:"pieces"`
}

// A Piece is one object of a copy.
type Piece struct {
	Name   string    `json:"name"`
	Size   int64     `json:"size"`
	SHA256 string    `json:"sha256"` // of the sealed bytes
	Time   time.Time `json:"time"`
	Newest int64     `json:"newest,omitempty"` // ordinal
}

const (
	stampForm    = "20060102T150405.000Z"
	manifestsDir = "manifests/"
)

func stamp(t time.Time) string { return t.UTC().Format(stampForm) }

// pieceName is where a piece lies on a target.
func pieceName(k Kind, account, chain string, seq int, t time.Time) string {
	return path.Join(string(k), account, chain, fmt.Sprintf("%06d-%s.age", seq, stamp(t)))
}

var pieceForm = regexp.MustCompile(`^(data|keys|people|settings)/([a-z0-9-]{1,32})/([0-9]{8}T[0-9]{6}\.[0-9]{3}Z)/[0-9]{6,}-([0-9]{8}T[0-9]{6}\.[0-9]{3}Z)\.age$`)

// A place is what a piece's name says.
type place struct {
	chain string // all but what tells the chain's pieces apart
	begun time.Time
	time  time.Time
}

func parsePieceName(name string) (p place, ok bool) {
	m := pieceForm.FindStringSubmatch(name)
	if m == nil {
		return p, false
	}
	begun, err1 := time.Parse(stampForm, m[3])
	at, err2 := time.Parse(stampForm, m[4])
	return place{path.Dir(name), begun, at}, err1 == nil && err2 == nil
}

// encode is the manifest as it is stored, signed by root keys, and the name it gets, which
// holds its hash.
func (m *Manifest) encode(roots []seal.Key) (name string, text []byte, err error) {
	if text, err = json.MarshalIndent(m, "", " "); err != nil {
		return "", nil, err
	}
	if text, err = sign(append(text, '\n'), roots); err != nil {
		return "", nil, err
	}
	return manifestsDir + stamp(m.Time) + "-" + shortHash(text) + ".json", text, nil
}

func shortHash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

var manifestForm = regexp.MustCompile(`^manifests/([0-9]{8}T[0-9]{6}\.[0-9]{3}Z)-([0-9a-f]{16})\.json$`)

func manifestTime(name string) (t time.Time, ok bool) {
	m := manifestForm.FindStringSubmatch(name)
	if m == nil {
		return t, false
	}
	t, err := time.Parse(stampForm, m[1])
	return t, err == nil
}

var errManifest = errors.New("was changed or cut off")

// parseManifest reads a manifest and compares it with its name.
func parseManifest(name string, text []byte) (*Manifest, error) {
	m := new(Manifest)
	if !strings.HasSuffix(name, "-"+shortHash(text)+".json") {
		return nil, fmt.Errorf("the manifest %s %w", name, errManifest)
	}
	var err error
	if m.signed, m.signatures, err = split(text); err == nil {
		err = json.Unmarshal(m.signed, m)
	}
	if at, ok := manifestTime(name); err != nil || ok && !at.Equal(m.Time) {
		return nil, fmt.Errorf("the manifest %s %w", name, errManifest)
	}
	if m.Format > manifestFormat {
		return nil, fmt.Errorf("the manifest %s has format %d, this program knows %d: it %w", name, m.Format, manifestFormat, conn.ErrNewer)
	}
	for _, c := range m.Chains {
		for _, p := range c.Pieces {
			if _, ok := parsePieceName(p.Name); !ok {
				return nil, fmt.Errorf("the manifest %s names %q, which is no piece of a copy", name, p.Name)
			}
		}
		if len(c.Pieces) == 0 {
			return nil, fmt.Errorf("the manifest %s has an account %q without pieces", name, c.Account)
		}
	}
	return m, nil
}
