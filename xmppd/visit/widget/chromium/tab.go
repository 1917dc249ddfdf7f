package chromium

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Tab is a page, with storage of its own, and the frame in it, which is of another site and so of another process.
type Tab struct {
	t *testing.T
	b *Browser
	// Session is the page's.
	Session string
	// Logged is what the browser says of the page and its frame.
	Logged chan string

	frames chan string // sessions of frames, as they come

	mu     sync.Mutex
	frame  string
	faults []string // what the browser refused, and exceptions
}

// Open makes a page with a window of that size.
func (b *Browser) Open(t *testing.T, width, height int, phone bool) *Tab {
	t.Helper()
	var made struct{ BrowserContextID, TargetID, SessionID string }
	b.Ask(t, "", "Target.createBrowserContext", Attrs{"disposeOnDetach": true}, &made)
	b.Ask(t, "", "Target.createTarget", Attrs{"url": "about:blank", "browserContextId": made.BrowserContextID, "width": width, "height": height}, &made)
	b.Ask(t, "", "Target.attachToTarget", Attrs{"targetId": made.TargetID, "flatten": true}, &made)
	p := &Tab{t: t, b: b, Session: made.SessionID, frames: make(chan string, 16), Logged: make(chan string, 256)}
	b.mu.Lock()
	b.pages[p.Session] = p
	b.mu.Unlock()
	t.Cleanup(func() {
		b.Ask(t, "", "Target.disposeBrowserContext", Attrs{"browserContextId": made.BrowserContextID}, nil)
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, f := range p.faults {
			t.Errorf("in the browser: %s", f)
		}
	})
	b.Ask(t, p.Session, "Target.setAutoAttach", Attrs{"autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true}, nil)
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.Ask(t, p.Session, domain+".enable", Attrs{}, nil)
	}
	scale := 1
	if pictures != "" {
		scale = 2
	}
	b.Ask(t, p.Session, "Emulation.setDeviceMetricsOverride", Attrs{"width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone}, nil)
	b.Ask(t, p.Session, "Emulation.setFocusEmulationEnabled", Attrs{"enabled": true}, nil)
	return p
}

// event is called by the one who reads, and so may send but not wait.
func (p *Tab) event(m message) {
	var e struct {
		SessionID  string
		TargetInfo struct{ Type string }
		Entry      struct{ Source, Level, Text string }
		Exception  struct {
			Text      string
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
	}
	json.Unmarshal(m.Params, &e)
	switch m.Method {
	case "Target.attachedToTarget":
		p.b.mu.Lock()
		p.b.pages[e.SessionID] = p
		p.b.mu.Unlock()
		for _, method := range []string{"Runtime.enable", "Log.enable", "Runtime.runIfWaitingForDebugger"} {
			p.b.post(e.SessionID, method, Attrs{})
		}
		if e.TargetInfo.Type == "iframe" {
			p.mu.Lock()
			p.frame = e.SessionID
			p.mu.Unlock()
			p.frames <- e.SessionID
		}
	case "Log.entryAdded":
		select {
		case p.Logged <- e.Entry.Text:
		default: // nobody reads that much
		}
		if e.Entry.Source == "security" || e.Entry.Source == "violation" {
			p.fault(e.Entry.Text)
		}
	case "Runtime.exceptionThrown":
		p.fault(e.Exception.Text + " " + e.Exception.Exception.Description)
	}
}

// Forgive forgets what the browser has refused until now; otherwise the test fails for it.
func (p *Tab) Forgive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
}

func (p *Tab) fault(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, text)
}

// Visit goes to a page, and waits for the frame on it.
func (p *Tab) Visit(url string) {
	p.t.Helper()
	p.mu.Lock()
	p.frame = ""
	p.mu.Unlock()
	for len(p.frames) > 0 {
		<-p.frames
	}
	p.b.Ask(p.t, p.Session, "Page.navigate", Attrs{"url": url}, nil)
	select {
	case <-p.frames:
	case <-time.After(Patience):
		p.t.Fatalf("%s: there is no frame", url)
	}
}

// eval answers what an expression is, in the page or in its frame; a promise is waited for.
func (p *Tab) eval(session, expression string) string {
	p.t.Helper()
	var r struct {
		Result    struct{ Value any }
		Exception *struct {
			Text      string
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
	}
	p.b.Ask(p.t, session, "Runtime.evaluate", Attrs{"expression": expression, "awaitPromise": true, "returnByValue": true}, &r)
	if r.Exception != nil {
		p.t.Fatalf("%s: %s %s", expression, r.Exception.Text, r.Exception.Exception.Description)
	}
	return fmt.Sprint(r.Result.Value)
}

// Page answers what an expression is in the page, In what it is in the frame; promises are waited for.
func (p *Tab) Page(expression string) string { p.t.Helper(); return p.eval(p.Session, expression) }

// In is Page in the frame.
func (p *Tab) In(expression string) string {
	p.t.Helper()
	return p.eval(p.Within(), expression)
}

// Within is the session of the frame.
func (p *Tab) Within() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.frame
}

// Await waits until an expression in the frame holds.
func (p *Tab) Await(condition string) {
	p.t.Helper()
	got := p.In(fmt.Sprintf(`new Promise(done => {
		const until = Date.now() + %d;
		const look = () => { let ok; try { ok = %s } catch { ok = false } ok ? done('') : Date.now() > until ? done(document.body.innerText) : setTimeout(look, 10) };
		look();
	})`, (Patience - 5*time.Second).Milliseconds(), condition))
	if got != "" {
		p.t.Fatalf("it never came: %s\n%s", condition, got)
	}
}

// Shows waits until a text can be read in the frame.
func (p *Tab) Shows(text string) {
	p.t.Helper()
	quoted, _ := json.Marshal(text)
	p.Await("document.body.innerText.includes(" + string(quoted) + ")")
}

// A Thing is what a screen reader finds.
type Thing struct {
	Role, Name        string
	Focused, Expanded bool
}

// Things are what there is in the page itself, or in its frame.
func (p *Tab) Things(session string) (all []Thing) {
	p.t.Helper()
	var tree struct {
		Nodes []struct {
			Ignored    bool
			Role, Name struct{ Value any }
			Properties []struct {
				Name  string
				Value struct{ Value any }
			}
		}
	}
	p.b.Ask(p.t, session, "Accessibility.getFullAXTree", Attrs{}, &tree)
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		x := Thing{Role: fmt.Sprint(n.Role.Value), Name: fmt.Sprint(n.Name.Value)}
		for _, prop := range n.Properties {
			switch prop.Name {
			case "focused":
				x.Focused = prop.Value.Value == true
			case "expanded":
				x.Expanded = prop.Value.Value == true
			}
		}
		all = append(all, x)
	}
	return all
}

// Finds waits until there is something like that in the page.
func (p *Tab) Finds(what string, like func(Thing) bool) {
	p.t.Helper()
	var all []Thing
	for end := time.Now().Add(Patience); time.Now().Before(end); {
		all = p.Things(p.Session)
		for _, x := range all {
			if like(x) {
				return
			}
		}
	}
	p.t.Fatalf("there is no %s: %+v", what, all)
}

// Button waits for the page's button with that name.
func (p *Tab) Button(name string, expanded bool) {
	p.t.Helper()
	p.Finds(fmt.Sprintf("button %q (%v)", name, expanded), func(x Thing) bool { return x.Role == "button" && x.Name == name && x.Expanded == expanded })
}

// keys are those that Press knows.
var keys = map[string]Attrs{
	"Tab":    {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9},
	"Enter":  {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"},
	"Escape": {"key": "Escape", "code": "Escape", "windowsVirtualKeyCode": 27},
	"Space":  {"key": " ", "code": "Space", "windowsVirtualKeyCode": 32, "text": " "},
	"Right":  {"key": "ArrowRight", "code": "ArrowRight", "windowsVirtualKeyCode": 39},
}

// Press presses keys, one after the other; "Shift+" before one.
func (p *Tab) Press(names ...string) {
	p.t.Helper()
	for _, name := range names {
		name, shift := strings.CutPrefix(name, "Shift+")
		e := Attrs{"type": "keyDown"}
		if !shift {
			e["modifiers"] = 0
		} else {
			e["modifiers"] = 8
		}
		for k, v := range keys[name] {
			e[k] = v
		}
		p.b.Ask(p.t, p.Session, "Input.dispatchKeyEvent", e, nil)
		e["type"] = "keyUp"
		delete(e, "text")
		p.b.Ask(p.t, p.Session, "Input.dispatchKeyEvent", e, nil)
	}
}

// Write types a text, or pastes it.
func (p *Tab) Write(text string) {
	p.t.Helper()
	p.b.Ask(p.t, p.Session, "Input.insertText", Attrs{"text": text}, nil)
}

// pictures is the folder where pictures are kept; "" is none.
var pictures = os.Getenv("PARLEY_TEST_PICTURES")

// Picture keeps what is to be seen, where PARLEY_TEST_PICTURES says.
func (p *Tab) Picture(name string) {
	p.t.Helper()
	if pictures == "" {
		return
	}
	var shot struct{ Data string }
	p.b.Ask(p.t, p.Session, "Page.captureScreenshot", Attrs{"format": "png"}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(pictures, name+".png"), png, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}
