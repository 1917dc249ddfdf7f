package hook

import (
	"runtime"
	"sync"
	"time"
)

// Sending an event costs about as much as four messages do, most of it for HTTP and TLS, and the
// log keeps what was not sent yet. So where messages come in great numbers and the processors
// are too few for all there is to do, most events wait until it is quieter; agents do not. Until
// then nothing is held back.
const (
	// paceFrom is how many records a second, for each processor, are great numbers, and
	// pacePressure the part of the time in which somebody waits for a processor that says there
	// are too few.
	paceFrom     = 1000
	pacePressure = 0.5
	// paceShare is how many records there are then for each event that is sent: events take an
	// eighth of what messages take. So many a second, for each processor, are sent in any case.
	paceShare = 30
	paceLeast = 50
	// paceLook is over what time records are counted, and paceStale after what time without
	// news that says nothing any more.
	paceLook  = 250 * time.Millisecond
	paceStale = time.Second
	// paceWait is how long a worker waits whose turn has not come: not less, since there may be
	// many of them.
	paceWait = 20 * time.Millisecond
)

// A pace is shared by all accounts of a sender, as the processors are.
type pace struct {
	processors float64
	waited     func() (total time.Duration, ok bool) // see waited

	mu      sync.Mutex // guards what follows
	records int64      // that came since
	since   time.Time
	total   time.Duration // that was waited until then
	rate    float64       // events a second that may be sent; 0 is any
	ready   float64       // events that may be sent, at
	at      time.Time
}

func newPace() *pace { return &pace{processors: float64(runtime.NumCPU()), waited: waited} }

// note counts records that were appended.
func (p *pace) note(records int64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.records += records
	passed := now.Sub(p.since)
	if passed < paceLook {
		return
	}
	rate := float64(p.records) / passed.Seconds()
	p.records, p.since, p.rate = 0, now, 0
	if rate > paceFrom*p.processors && p.pressed(passed) {
		p.rate = max(rate/paceShare, paceLeast*p.processors)
	}
}

// pressed says whether the processors are too few; where nobody knows, such numbers say it.
func (p *pace) pressed(passed time.Duration) bool {
	total, ok := p.waited()
	if !ok {
		return true
	}
	before := p.total
	p.total = total
	return float64(total-before) > pacePressure*float64(min(passed, paceStale))
}

// take says whether an event may be sent now, and else when to ask again.
func (p *pace) take(now time.Time) (ok bool, again time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate == 0 || now.Sub(p.since) > paceStale {
		return true, time.Time{}
	}
	p.ready = min(p.ready+p.rate*now.Sub(p.at).Seconds(), max(2*p.rate*paceWait.Seconds(), 1))
	p.at = now
	if p.ready < 1 {
		return false, now.Add(paceWait)
	}
	p.ready--
	return true, time.Time{}
}

// give returns what was taken and is not used.
func (p *pace) give() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate > 0 {
		p.ready++
	}
}
