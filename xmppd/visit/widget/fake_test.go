package widget

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley.im/parley/xmppd/visit/widget/chromium"
)

type frame = map[string]any

// A counter is the server's side of docs/visitors.md for one contact, in the hands of a test: it plays the agent, and cuts lines.
type counter struct {
	t      *testing.T
	config frame // what is not as usual

	mu      sync.Mutex
	mail    string        // where a copy can go to
	changed chan struct{} // closed, and made anew, with each change
	opened  []frame       // what contacts were asked for
	log     []frame       // what has a number
	heard   []frame       // what the visitor's frames were
	lines   map[*line]bool
	blocked bool // WebSockets are
	deaf    bool // what is said is kept, but the line breaks before it is answered
	hellos  []int
	files   map[string]frame // what was sent, by ids
	bytes   map[string][]byte
}

// A line is one connection of the visitor's.
type line struct {
	out  chan frame
	gone chan struct{}
	once sync.Once
}

func (l *line) cut() { l.once.Do(func() { close(l.gone) }) }

func newCounter(t *testing.T, config frame) *counter {
	return &counter{t: t, config: config, changed: make(chan struct{}), lines: map[*line]bool{}, files: map[string]frame{}, bytes: map[string][]byte{}}
}

func (c *counter) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

// until waits for what the visitor's side is to do.
func (c *counter) until(what string, holds func() bool) {
	c.t.Helper()
	end := time.After(chromium.Patience)
	for {
		c.mu.Lock()
		ok, changed := holds(), c.changed
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-end:
			c.t.Fatalf("it never came: %s; heard %v", what, c.heard)
		}
	}
}

// hears waits for a frame of the visitor's.
func (c *counter) hears(kind string, like frame) {
	c.t.Helper()
	c.until(fmt.Sprint(kind, " ", like), func() bool {
		for _, f := range c.heard {
			ok := f["type"] == kind
			for k, v := range like {
				ok = ok && fmt.Sprint(f[k]) == fmt.Sprint(v)
			}
			if ok {
				return true
			}
		}
		return false
	})
}

// tell says something to whoever is there; with a number it is kept for who comes later.
func (c *counter) tell(f frame) {
	c.change(func() { c.send(f) })
}

func (c *counter) send(f frame) {
	switch f["type"] {
	case "message", "state", "corrected":
		if f["seq"] == nil {
			f["seq"] = len(c.log) + 1
		}
		c.log = append(c.log, f)
	}
	for l := range c.lines {
		l.out <- f
	}
}

func (c *counter) says(name, text string) { c.saysWith(name, "", text) }

func (c *counter) saysWith(name, avatar, text string) {
	c.tell(frame{"type": "message", "id": fmt.Sprint("a-", len(text), text), "from": frame{"kind": "agent", "name": name, "avatar": avatar}, "text": text, "at": time.Now().UTC()})
}

// portrait is where the picture is that there is.
const portrait = "/visit/acme/avatars/A_picture-1"

func (c *counter) becomes(state, agent string) { c.becomesWith(state, agent, "") }

func (c *counter) becomesWith(state, agent, avatar string) {
	contact := frame{"id": "c", "state": state}
	if agent != "" {
		contact["agent"] = frame{"name": agent, "avatar": avatar}
	}
	c.tell(frame{"type": "state", "contact": contact})
}

func (c *counter) contact() frame {
	for i := len(c.log) - 1; i >= 0; i-- {
		if c.log[i]["type"] == "state" {
			return c.log[i]["contact"].(frame)
		}
	}
	return frame{"id": "c", "state": "queued"}
}

func (c *counter) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /visit/{account}/config", func(w http.ResponseWriter, _ *http.Request) {
		config := frame{"open": true, "languages": []string{"en", "it", "de"}}
		maps.Copy(config, c.config)
		json.NewEncoder(w).Encode(config)
	})
	mux.HandleFunc("GET "+portrait, func(w http.ResponseWriter, _ *http.Request) {
		p := image.NewRGBA(image.Rect(0, 0, 96, 96))
		draw.Draw(p, p.Bounds(), image.NewUniform(color.RGBA{0xf2, 0xb8, 0x7e, 0xff}), image.Point{}, draw.Src)
		for at, c := range map[image.Rectangle]color.RGBA{image.Rect(30, 16, 66, 60): {0x6b, 0x3e, 0x26, 0xff}, image.Rect(36, 26, 60, 60): {0xf7, 0xdc, 0xc4, 0xff}, image.Rect(16, 62, 80, 96): {0x2a, 0x6f, 0x97, 0xff}} {
			draw.Draw(p, at, image.NewUniform(c), image.Point{}, draw.Src)
		}
		png.Encode(w, p)
	})
	mux.HandleFunc("POST /visit/{account}/contacts", c.open)
	mux.HandleFunc("POST /visit/{account}/files", c.upload)
	mux.HandleFunc("GET /files/{id}", func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		w.Write(c.bytes[r.PathValue("id")])
	})
	mux.HandleFunc("GET /visit/{account}/socket", c.socket)
	mux.HandleFunc("GET /visit/{account}/events", c.events)
	mux.HandleFunc("POST /visit/{account}/frames", func(w http.ResponseWriter, r *http.Request) {
		var f frame
		if r.Header.Get("Authorization") != "Bearer token" || json.NewDecoder(r.Body).Decode(&f) != nil {
			http.Error(w, "{}", http.StatusForbidden)
			return
		}
		if f["email"] == "nobody@home.example" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			json.NewEncoder(w).Encode(frame{"code": "invalid", "detail": "the mail server does not take mail for that address"})
			return
		}
		if f["comment"] == "not now" {
			w.WriteHeader(http.StatusServiceUnavailable)
			json.NewEncoder(w).Encode(frame{"code": "unavailable", "detail": "this can't be kept now; try again in a moment"})
			return
		}
		if answer := c.take(f); answer != nil && answer["type"] == "said" {
			json.NewEncoder(w).Encode(answer)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

func (c *counter) open(w http.ResponseWriter, r *http.Request) {
	var asked frame
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, "{}", http.StatusUnprocessableEntity)
		return
	}
	if asked["text"] == "too long" {
		w.WriteHeader(http.StatusUnprocessableEntity)
		json.NewEncoder(w).Encode(frame{"code": "odd", "detail": "what you say is <b>too</b> long"})
		return
	}
	conflict := false
	c.change(func() {
		for _, other := range c.opened {
			if other["id"] == asked["id"] {
				conflict = other["text"] != asked["text"]
				return
			}
		}
		c.opened = append(c.opened, asked)
		c.send(frame{"type": "state", "contact": frame{"id": "c", "state": "queued", "position": 2, "wait": 90}})
		c.send(frame{"type": "message", "id": "first", "from": frame{"kind": "visitor"}, "text": asked["text"], "at": time.Now().UTC()})
	})
	if conflict {
		w.WriteHeader(http.StatusConflict)
		json.NewEncoder(w).Encode(frame{"code": "conflict", "detail": "this id was used for another contact"})
		return
	}
	if asked["text"] == "lost" { // it is kept, but nobody hears of it
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(frame{"contact": c.contact(), "token": "token"})
}

// upload takes a file, unless it is called so that it is not.
func (c *counter) upload(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Authorization") != "Bearer token" {
		http.Error(w, "{}", http.StatusForbidden)
		return
	}
	name := r.URL.Query().Get("name")
	if name == "virus.pdf" {
		w.WriteHeader(http.StatusUnprocessableEntity)
		json.NewEncoder(w).Encode(frame{"code": "refused", "detail": "the file may do harm, so it was not taken"})
		return
	}
	var f frame
	c.change(func() {
		id := fmt.Sprint("f", len(c.files))
		f = frame{"id": id, "name": name, "type": r.Header.Get("Content-Type"), "size": len(body), "url": "https://" + r.Host + "/files/" + id}
		c.files[id], c.bytes[id] = f, body
	})
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(frame{"file": f})
}

// take is what one of the visitor's frames brings about.
func (c *counter) take(f frame) (answer frame) {
	c.change(func() {
		c.heard = append(c.heard, f)
		switch f["type"] {
		case "ping":
			answer = frame{"type": "pong"}
		case "say":
			seq := 0
			for _, m := range c.log {
				if m["id"] == f["id"] {
					seq = m["seq"].(int)
				}
			}
			if seq == 0 {
				seq = len(c.log) + 1
				c.log = append(c.log, frame{"type": "message", "seq": seq, "id": f["id"], "from": frame{"kind": "visitor"}, "text": f["text"], "file": c.files[fmt.Sprint(f["file"])], "at": time.Now().UTC()})
			}
			if c.deaf {
				for l := range c.lines {
					l.cut()
				}
				return
			}
			answer = frame{"type": "said", "id": f["id"], "seq": seq, "at": time.Now().UTC()}
		case "close":
			contact := frame{}
			for k, v := range c.contact() {
				contact[k] = v
			}
			contact["state"] = "closed"
			c.send(frame{"type": "state", "contact": contact})
		}
	})
	return answer
}

// join opens a line, with what follows after in it.
func (c *counter) join(after int) *line {
	l := &line{out: make(chan frame, 1000), gone: make(chan struct{})}
	c.change(func() {
		c.hellos = append(c.hellos, after)
		is := maps.Clone(c.contact())
		is["mail"] = c.mail
		l.out <- frame{"type": "welcome", "contact": is}
		for _, f := range c.log[min(after, len(c.log)):] {
			l.out <- f
		}
		c.lines[l] = true
	})
	return l
}

func (c *counter) leave(l *line) {
	l.cut()
	c.change(func() { delete(c.lines, l) })
}

func (c *counter) socket(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	blocked := c.blocked
	c.mu.Unlock()
	if blocked {
		http.Error(w, "", http.StatusForbidden)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"parley.visit.1"}})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	read := func() (f frame, err error) {
		_, text, err := ws.Read(r.Context())
		if err == nil {
			err = json.Unmarshal(text, &f)
		}
		return f, err
	}
	hello, err := read()
	if err != nil {
		return
	}
	if hello["token"] != "token" {
		text, _ := json.Marshal(frame{"type": "bye", "code": "expired"})
		ws.Write(r.Context(), websocket.MessageText, text)
		return
	}
	after, _ := hello["after"].(float64)
	l := c.join(int(after))
	defer c.leave(l)
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() {
		defer ws.CloseNow()
		for {
			select {
			case <-l.gone:
				return
			case f := <-l.out:
				text, _ := json.Marshal(f)
				if ws.Write(r.Context(), websocket.MessageText, text) != nil {
					return
				}
			}
		}
	})
	defer l.cut()
	for {
		f, err := read()
		if err != nil {
			return
		}
		if answer := c.take(f); answer != nil {
			select {
			case l.out <- answer:
			case <-l.gone:
				return
			}
		}
	}
}

func (c *counter) events(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer token" {
		http.Error(w, "{}", http.StatusUnauthorized)
		return
	}
	var after int
	fmt.Sscan(r.Header.Get("Last-Event-ID"), &after)
	l := c.join(after)
	defer c.leave(l)
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		select {
		case <-l.gone:
			return
		case <-r.Context().Done():
			return
		case f := <-l.out:
			text, _ := json.Marshal(f)
			id := ""
			if f["seq"] != nil {
				id = fmt.Sprintf("id: %v\n", f["seq"])
			}
			if _, err := fmt.Fprintf(w, "%sdata: %s\n\n", id, strings.TrimSpace(string(text))); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}
}
