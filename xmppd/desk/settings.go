package desk

import "time"

// Settings are how an account wants its contacts dealt with.
type Settings struct {
	Algorithm Algorithm
	Steps     int           // into how many groups scores are put; 1 to 10
	Delay     time.Duration // from one group to the next; 5 s to 300 s
	Weights   Weights       // of Dynamic
	Exclusive bool          // one agent is asked at a time, for Delay
	Force     bool          // who does not answer what she alone was asked is paused

	Limit  int // conversations that an agent has at a time, unless she has a limit of her own
	Offers int // that an agent sees at a time

	Wait         time.Duration // how long a visitor waits
	Transfer     time.Duration // how long others are asked to take one over
	BounceBack   bool          // ... and then its agent keeps it; else it waits in the queue
	Idle         time.Duration // silence after which a conversation weighs nothing; 0 never
	VisitorGrace time.Duration // how long a visitor may be gone from a conversation
	WaitGrace    time.Duration // ... while waiting
	AgentGrace   time.Duration // how long an agent may be gone from one
	AcceptAfter  time.Duration // how long after she was asked an agent's reply takes a contact; 0 at once
	WrapUp       time.Duration // from the end of one until nothing more is said about it
	OfflineFor   time.Duration // how long a message may be left when nobody is there
	CollectFor   time.Duration // how long a form may take, or a bot
	Bot          time.Duration // how long a bot, which has each contact first, may leave a visitor without a word; 0 is no bot

	Agents map[string]Skills // what is set for single agents, by their names
	Groups map[string]Group  // whom a contact can be for, or be transferred to
	Hours  Hours             // when there is anybody
	Canned map[string]string // answers that agents need often, by their names in small letters
}

// A Group is a name for the tags that agents need.
type Group struct {
	Tags     []string
	Priority int // of what is for it, or is transferred to it; 0 leaves it
}

// Skills are what is set for one agent.
type Skills struct {
	Tags  []string
	Limit int // 0 is as others have
}

// skilled is an agent with what is set for her.
func (s *Settings) skilled(a Agent) Agent {
	if is, ok := s.Agents[a.Name]; ok {
		a.Tags, a.Limit = is.Tags, is.Limit
	}
	return a
}

// Defaults are Settings that suit most.
func Defaults() Settings {
	return Settings{
		Algorithm: Broadcast, Steps: 3, Delay: 12 * time.Second, Weights: Weights{Load: 1, Idle: 1, Tags: 1}, Force: true,
		Limit: 4, Offers: 5,
		Wait: 2 * time.Minute, Transfer: time.Minute, BounceBack: true, Idle: 5 * time.Minute,
		VisitorGrace: 5 * time.Minute, WaitGrace: 30 * time.Second, AgentGrace: time.Minute, WrapUp: 2 * time.Minute,
		OfflineFor: 10 * time.Minute, CollectFor: time.Hour,
	}
}
