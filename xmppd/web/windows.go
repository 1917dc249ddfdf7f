package web

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// windowsMax bounds how many are counted at a time. Beyond it whichever is found first
	// makes room, which lets a stranger who comes from very many addresses count anew.
	windowsMax = 10_000
	// atOnce is how many requests of a key are worked on at the same time.
	atOnce = 8
)

func tooMany(wait time.Duration) *Refusal {
	r := Refuse(TooMany, "too many requests: Retry-After says when to go on")
	r.RetryAfter = wait
	return r
}

// windows count requests, each caller's within a window of time of its own.
type windows struct {
	most   int // 0 is no limit
	length time.Duration

	mu    sync.Mutex // guards what follows
	all   map[string]*window
	swept time.Time
}

type window struct {
	ends    time.Time
	used    int
	running int // requests
}

func newWindows(most int, length time.Duration) *windows {
	return &windows{most: most, length: length, all: make(map[string]*window)}
}

// add counts one more, and says how many are left and for how long; below zero are
// those over the limit.
func (ws *windows) add(who string, now time.Time) (left int, ends time.Duration) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.of(who, now)
	if w.used <= ws.most {
		w.used++
	}
	return ws.most - w.used, w.ends.Sub(now)
}

// of is somebody's present window; ws.mu is held.
func (ws *windows) of(who string, now time.Time) *window {
	w := ws.all[who]
	switch {
	case w == nil:
		ws.makeRoom(now)
		w = &window{ends: now.Add(ws.length)}
		ws.all[who] = w
	case !now.Before(w.ends), w.ends.Sub(now) > ws.length: // over, or begun by a clock that has gone back since
		w.ends, w.used = now.Add(ws.length), 0
	}
	return w
}

// enter says whether one more request of somebody's can be worked on now; leave says that
// it is over.
func (ws *windows) enter(who string, now time.Time) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.of(who, now)
	if w.running >= atOnce {
		return false
	}
	w.running++
	return true
}

func (ws *windows) leave(who string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w := ws.all[who]; w != nil && w.running > 0 {
		w.running--
	}
}

// makeRoom forgets whose window is over, at most once a second, or else anybody who has
// nothing running.
func (ws *windows) makeRoom(now time.Time) {
	if len(ws.all) < windowsMax {
		return
	}
	if now.Sub(ws.swept).Abs() > time.Second {
		ws.swept = now
		for who, w := range ws.all {
			if !now.Before(w.ends) && w.running == 0 {
				delete(ws.all, who)
			}
		}
	}
	for who, w := range ws.all {
		if len(ws.all) < windowsMax {
			return
		}
		if w.running == 0 {
			delete(ws.all, who)
		}
	}
}

// count counts a request and says so in the answer's header
// (draft-ietf-httpapi-ratelimit-headers). Nil is that it is within the limit.
func (ws *windows) count(h http.Header, who string, now time.Time) *Refusal {
	if ws.most == 0 {
		return nil
	}
	left, ends := ws.add(who, now)
	h.Set("RateLimit-Policy", fmt.Sprintf(`"key";q=%d;w=%d`, ws.most, int(ws.length.Seconds())))
	h.Set("RateLimit", fmt.Sprintf(`"key";r=%d;t=%s`, max(left, 0), seconds(ends)))
	if left < 0 {
		return tooMany(ends)
	}
	return nil
}

func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }
