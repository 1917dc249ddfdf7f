package web

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strings"

	"parley.im/parley/store/audit"
)

const (
	idempotencyHeader = "Idempotency-Key"
	idempotencyMax    = 255 // bytes
)

// A kept is what was answered to a request with an idempotency key, or with no status
// that it is being worked on.
type kept struct {
	Request [32]byte // its hash, and of what its caller might
	Run     string   // of the program that works on it; "" if nobody does
	Status  int
	Header  http.Header
	Body    []byte
}

// idempotent answers a POST with an idempotency key once: the second one with the same
// key gets what the first got, for a day, also after a restart
// (draft-ietf-httpapi-idempotency-key-header).
func (a *API) idempotent(w http.ResponseWriter, r *http.Request, c *caller, body []byte) *Refusal {
	name := r.Header.Get(idempotencyHeader)
	_, pattern := a.mux.Handler(r)
	id := a.routes[pattern]
	p, known := permissions[id]
	if name == "" || r.Method != http.MethodPost || !known || c.may(p) != nil {
		a.dispatch(w, r, c)
		return nil
	}
	if len(name) > idempotencyMax {
		return refuse("the idempotency key has more than %d bytes", idempotencyMax)
	}
	key := hashOf(c.key, name)
	claim := kept{Run: a.run, Request: hashOf(r.Method, r.URL.RequestURI(), string(body), c.role.String(), strings.Join(c.scopes, " "))}
	before, err := a.claim(r.Context(), c, key, claim)
	if err != nil {
		return a.refusal(err)
	}
	if before != nil {
		return a.repeat(w, r, c, id, before, claim)
	}
	rec := &recorder{ResponseWriter: w}
	defer a.settle(context.WithoutCancel(r.Context()), c, key, claim, rec)
	// What the handler does is kept even if the caller hangs up.
	a.dispatch(rec, r.WithContext(context.WithoutCancel(r.Context())), c)
	return nil
}

// repeat answers again what was answered. That shows a secret once more, so it has a record of
// its own (WCP-10), which says that nothing was done this time.
func (a *API) repeat(w http.ResponseWriter, r *http.Request, c *caller, id string, before *kept, now kept) *Refusal {
	if refused := before.refused(now); refused != nil {
		return refused
	}
	if permissions[id].audited {
		c.path = r.URL.Path
		err := a.inst.Audit(r.Context(), c.deed(id), func(ctx context.Context) error {
			audit.Tell(ctx, "repeated", "true")
			return nil
		})
		if err != nil {
			return a.refusal(err)
		}
	}
	before.answer(w)
	return nil
}

// settle keeps what was answered, and answers. Whoever was refused may try again; where
// something broke, nobody knows what was done.
func (a *API) settle(ctx context.Context, c *caller, key [32]byte, claim kept, rec *recorder) {
	var done []byte
	if rec.status < 300 || rec.status >= 500 {
		claim.Run = ""
		if rec.status > 0 && rec.status < 300 {
			claim.Status, claim.Header, claim.Body = rec.status, rec.Header().Clone(), rec.body
		}
		var err error
		if done, err = json.Marshal(claim); err != nil {
			a.log.Error("answer not kept", "err", err)
		}
	}
	if err := c.Store.KeepAnswer(ctx, key, done); err != nil {
		a.log.Error("answer not kept", "err", err)
	}
	if rec.status > 0 {
		rec.ResponseWriter.WriteHeader(rec.status)
		rec.ResponseWriter.Write(rec.body) // an error means that the caller is gone
	}
}

func (a *API) claim(ctx context.Context, c *caller, key [32]byte, claim kept) (*kept, error) {
	text, err := json.Marshal(claim)
	if err != nil {
		return nil, err
	}
	old, err := c.Store.ClaimAnswer(ctx, key, text)
	if err != nil || old == nil {
		return nil, err
	}
	before := new(kept)
	return before, json.Unmarshal(old, before)
}

// refused says why what was answered is not an answer to this request.
func (k *kept) refused(now kept) *Refusal {
	switch {
	case k.Request != now.Request:
		return Refuse(KeyReused, "the idempotency key was used for another request")
	case k.Status == 0 && k.Run == now.Run:
		return Refuse(BeingDone, "the first request with this idempotency key is being worked on")
	case k.Status == 0:
		return Refuse(OutcomeUnknown, "it is not known what came of the first request with this idempotency key").
			hint("look whether it was done; if not, send it with another key")
	}
	return nil
}

func (k *kept) answer(w http.ResponseWriter) {
	for name, values := range k.Header {
		if w.Header().Get(name) == "" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(k.Status)
	w.Write(k.Body) // an error means that the caller is gone
}

// A recorder holds an answer back.
type recorder struct {
	http.ResponseWriter
	status int
	body   []byte
}

// WriteHeader notes the status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

// Write adds to the answer.
func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	r.body = append(r.body, b...)
	return len(b), nil
}

// hashOf is of parts that nobody can shift into one another.
func hashOf(parts ...string) (sum [32]byte) {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	h.Sum(sum[:0])
	return sum
}
