package visit

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"time"
)

// An account may ask for some work before a contact is opened: a number that, behind a challenge and the wish's
// id, gives a hash (SHA-256) which begins with so many zero bits. Each bit more doubles what it costs to find one, and nothing of what it
// costs to see that it is one. A proof is good for one id, which gives the same contact however often it is sent.

// workFor is how long a challenge can be answered: no longer than an id is remembered, so that no proof opens two contacts.
const workFor = openingsFor

const toWork = "work"

// A workAsked is what a client has to do.
type workAsked struct {
	Challenge string `json:"challenge"`
	Bits      int    `json:"bits"`
}

// A workDone is what it has done.
type workDone struct {
	Challenge string `json:"challenge"`
	Nonce     string `json:"nonce"`
}

var errWork = refusal{codeWork, "this account wants some work done first: see work in config"}

// asksWork is the account's challenge now; nil if it asks for none.
func (a *account) asksWork(now time.Time) *workAsked {
	n := a.looks().Work
	if n == 0 {
		return nil
	}
	return &workAsked{a.sealed(toWork, binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))), n}
}

// worked says whether the work was done that the account asks for.
func (a *account) worked(w *wish, now time.Time) error {
	n := a.looks().Work
	if n == 0 {
		return nil
	}
	if w.Work == nil || len(w.Work.Nonce) > idMax {
		return errWork
	}
	at, ok := a.challenged(w.Work.Challenge)
	if age := now.Sub(at); !ok || age >= workFor || age < -time.Minute || zeros(w.Work.Challenge+":"+w.ID+":"+w.Work.Nonce) < n {
		return errWork
	}
	return nil
}

// challenged is when a challenge was given out; ok is that it was, by this account.
func (a *account) challenged(text string) (at time.Time, ok bool) {
	b, ok := a.unsealed(toWork, text)
	if !ok || len(b) != 8 {
		return at, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64([]byte(b))), 0), true
}

// zeros is with how many zero bits the hash of a text begins.
func zeros(text string) (n int) {
	for _, b := range sha256.Sum256([]byte(text)) {
		if b != 0 {
			return n + bits.LeadingZeros8(b)
		}
		n += 8
	}
	return n
}
