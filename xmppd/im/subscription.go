package im

// A State is what stands between an agent and a contact, seen from her side (RFC
// 6121 Appendix A.1).
type State uint8

// The states. What the agent's roster shows of them leaves out "In": somebody who
// asks is not in it for that (RFC 6121 §3.1.3).
const (
	None      State = iota
	NoneOut         // she has asked to see the contact's presence
	NoneIn          // the contact has asked to see hers
	NoneOutIn       // both have
	To              // she sees the contact's
	ToIn
	From // the contact sees hers
	FromOut
	Both
)

// Sees says whether the agent sees the contact's presence.
func (s State) Sees() bool { return s == To || s == ToIn || s == Both }

// Shows says whether the contact sees the agent's presence.
func (s State) Shows() bool { return s == From || s == FromOut || s == Both }

// Out says whether the agent has asked and waits for an answer.
func (s State) Out() bool { return s == NoneOut || s == NoneOutIn || s == FromOut }

// In says whether the contact has.
func (s State) In() bool { return s == NoneIn || s == NoneOutIn || s == ToIn }

// asked is s where the contact has asked as well.
func (s State) asked() State { return inbound[VerbSubscribe][s].to }

// Shown is s without "In": what is left when the request is refused.
func (s State) Shown() State {
	if s.In() {
		return outbound[VerbUnsubscribed][s].to
	}
	return s
}

// String is the value of an item's attribute 'subscription' (RFC 6121 §2.1.2.5).
func (s State) String() string {
	switch {
	case s == Both:
		return "both"
	case s.Sees():
		return "to"
	case s.Shows():
		return "from"
	}
	return "none"
}

// A Verb is a type of presence that manages subscriptions (RFC 6121 §3).
type Verb uint8

// The verbs.
const (
	VerbSubscribe    Verb = iota // asks
	VerbSubscribed               // grants
	VerbUnsubscribe              // gives up
	VerbUnsubscribed             // refuses or takes back
)

var verbs = [...]string{"subscribe", "subscribed", "unsubscribe", "unsubscribed"}

// VerbOf is the verb of a presence's type, if it has one.
func VerbOf(typ string) (v Verb, ok bool) {
	for i, name := range verbs {
		if name == typ {
			return Verb(i), true
		}
	}
	return 0, false
}

// String is the type of the presence.
func (v Verb) String() string { return verbs[v] }

// A move is what a table says: the state afterwards, and whether the stanza goes on.
type move struct {
	to     State
	passes bool
}

const on, stop = true, false

// outbound is RFC 6121 Appendix A.2: what the agent's server does with what she sends,
// by verb and present state, and whether it goes to the contact.
var outbound = [4][9]move{
	VerbSubscribe: {
		None: {NoneOut, on}, NoneOut: {NoneOut, on}, NoneIn: {NoneOutIn, on}, NoneOutIn: {NoneOutIn, on},
		To: {To, on}, ToIn: {ToIn, on}, From: {FromOut, on}, FromOut: {FromOut, on}, Both: {Both, on},
	},
	VerbSubscribed: { // where it stops it may be an approval beforehand: see Outbound
		None: {None, stop}, NoneOut: {NoneOut, stop}, NoneIn: {From, on}, NoneOutIn: {FromOut, on},
		To: {To, stop}, ToIn: {Both, on}, From: {From, stop}, FromOut: {FromOut, stop}, Both: {Both, stop},
	},
	VerbUnsubscribe: {
		None: {None, on}, NoneOut: {None, on}, NoneIn: {NoneIn, on}, NoneOutIn: {NoneIn, on},
		To: {None, on}, ToIn: {NoneIn, on}, From: {From, on}, FromOut: {From, on}, Both: {From, on},
	},
	VerbUnsubscribed: {
		None: {None, stop}, NoneOut: {NoneOut, stop}, NoneIn: {None, on}, NoneOutIn: {NoneOut, on},
		To: {To, stop}, ToIn: {To, on}, From: {None, on}, FromOut: {NoneOut, on}, Both: {To, on},
	},
}

// inbound is RFC 6121 Appendix A.3: what the agent's server does with what a contact
// sends, and whether it goes to her devices.
var inbound = [4][9]move{
	VerbSubscribe: {
		None: {NoneIn, on}, NoneOut: {NoneOutIn, on}, NoneIn: {NoneIn, stop}, NoneOutIn: {NoneOutIn, stop},
		To: {ToIn, on}, ToIn: {ToIn, stop}, From: {From, stop}, FromOut: {FromOut, stop}, Both: {Both, stop},
	},
	VerbSubscribed: {
		None: {None, stop}, NoneOut: {To, on}, NoneIn: {NoneIn, stop}, NoneOutIn: {ToIn, on},
		To: {To, stop}, ToIn: {ToIn, stop}, From: {From, stop}, FromOut: {Both, on}, Both: {Both, stop},
	},
	VerbUnsubscribe: {
		None: {None, stop}, NoneOut: {NoneOut, stop}, NoneIn: {None, on}, NoneOutIn: {NoneOut, on},
		To: {To, stop}, ToIn: {To, on}, From: {None, on}, FromOut: {NoneOut, on}, Both: {To, on},
	},
	VerbUnsubscribed: {
		None: {None, stop}, NoneOut: {None, on}, NoneIn: {NoneIn, stop}, NoneOutIn: {NoneIn, on},
		To: {None, on}, ToIn: {NoneIn, on}, From: {From, stop}, FromOut: {From, on}, Both: {From, on},
	},
}

// A Step is what a subscription stanza does on one side.
type Step struct {
	State    State // afterwards
	Approved bool  // afterwards: a request to come is granted already (RFC 6121 §3.4)
	Passes   bool  // routed to the contact, or delivered to the agent
	Push     bool  // what the roster shows has changed
	Answers  bool  // the server grants it in the agent's name (RFC 6121 §3.1.3)
}

// Outbound is what happens on the side of an agent who sends v.
func Outbound(v Verb, s State, approved bool) Step {
	m := outbound[v][s]
	switch {
	case v == VerbSubscribed && !m.passes && !s.Shows():
		return Step{State: s, Approved: true, Push: !approved} // RFC 6121 §3.4.2
	case v == VerbSubscribed || v == VerbUnsubscribed:
		return step(s, approved, m, false) // granted, or taken back
	}
	return step(s, approved, m, approved)
}

// Inbound is what happens on the side of an agent whom v is for.
//
// An approval beforehand is for one request: RFC 6121 §3.4.2 leaves it to the server
// whether it holds for another, after the first was taken back.
func Inbound(v Verb, s State, approved bool) Step {
	if v == VerbSubscribe && approved && !s.Shows() {
		granted := step(s, approved, move{outbound[VerbSubscribed][s.asked()].to, stop}, false)
		granted.Answers = true
		return granted
	}
	in := step(s, approved, inbound[v][s], approved)
	in.Answers = v == VerbSubscribe && s.Shows()
	return in
}

func step(s State, approved bool, m move, still bool) Step {
	return Step{State: m.to, Approved: still, Passes: m.passes, Push: s.Shown() != m.to.Shown() || approved != still}
}
