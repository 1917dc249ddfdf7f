package web

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// windowsMax bounds how many are counted at a time. Beyond it the one found first makes
// room, which lets a stranger who comes from very many addresses count anew.
const windowsMax = 10_000

var tooMany = newRefusal(http.StatusTooManyRequests, "too many requests: Retry-After says when to go on", nil)

// windows count requests, each caller's within a window of time of its own.
type windows struct {
	most   int // 0 is no limit
	length time.Duration

	mu  sync.Mutex // guards what follows
	all map[string]*window
}

type window struct {
	ends time.Time
	used int
}

func newWindows(most int, length time.Duration) *windows {
	return &windows{most: most, length: length, all: make(map[string]*window)}
}

// add counts one more, and says how many are left and for how long; below zero are
// those over the limit.
func (ws *windows) add(who string, now time.Time) (left int, ends time.Duration) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.all[who]
	if w == nil || !now.Before(w.ends) {
		if w == nil {
			ws.makeRoom(now)
		}
		w = &window{ends: now.Add(ws.length)}
		ws.all[who] = w
	}
	if w.used <= ws.most {
		w.used++
	}
	return ws.most - w.used, w.ends.Sub(now)
}

func (ws *windows) makeRoom(now time.Time) {
	if len(ws.all) < windowsMax {
		return
	}
	for who, w := range ws.all {
		if !now.Before(w.ends) {
			delete(ws.all, who)
		}
	}
	for who := range ws.all {
		if len(ws.all) < windowsMax {
			return
		}
		delete(ws.all, who)
	}
}

// count counts a request, says so in the answer's header (draft-ietf-httpapi-ratelimit-headers),
// and whether it is within the limit.
func (ws *windows) count(w http.ResponseWriter, who string, now time.Time) bool {
	if ws.most == 0 {
		return true
	}
	left, ends := ws.add(who, now)
	seconds := int(math.Ceil(ends.Seconds()))
	w.Header().Set("RateLimit-Policy", fmt.Sprintf(`"key";q=%d;w=%d`, ws.most, int(ws.length.Seconds())))
	w.Header().Set("RateLimit", fmt.Sprintf(`"key";r=%d;t=%d`, max(left, 0), seconds))
	if left < 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	return left >= 0
}
