package xmpptest

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	talk, err := Parse("a.talk", `Anna says hello.

See RFC 6121 §5.2.

-- cast --
anna   agent   desk.example   "correct \"horse\""

-- parley.toml --
[resume]
for = "1m"

-- talk --
# Two lines
# of a note.
anna/laptop signs in
anna/laptop > <message>
                <body>$1</body>
              </message>
anna/laptop < nothing
wait 5m

-- webhook --
POST /parley
x-vvc-hmac: *
{"a": [1, ...], ...}
`)
	if err != nil {
		t.Fatal(err)
	}
	if talk.Title != "Anna says hello." || talk.Intro != "See RFC 6121 §5.2." {
		t.Errorf("title %q, intro %q", talk.Title, talk.Intro)
	}
	want := Person{Name: "anna", Role: "agent", Domain: "desk.example", Password: `correct "horse"`}
	if len(talk.Cast) != 1 || talk.Cast[0] != want || want.JID() != "anna@desk.example" {
		t.Errorf("cast = %v, want %v", talk.Cast, want)
	}
	if talk.Config != "[resume]\nfor = \"1m\"\n\n" {
		t.Errorf("config = %q", talk.Config)
	}
	if got := talk.Sent(); len(got) != 1 || got[0] != "<message>\n<body>$1</body>\n</message>" {
		t.Errorf("sent = %q", got)
	}
	if !talk.Waits() || talk.Restarts() || talk.steps[3].wait != 5*time.Minute {
		t.Errorf("waits = %v, restarts = %v", talk.Waits(), talk.Restarts())
	}
	if s := talk.steps[1]; s.line != 16 || s.note != "Two lines\nof a note." {
		t.Errorf("line %d, note %q", s.line, s.note)
	}
	if len(talk.hooks.requests) != 1 || talk.hooks.requests[0].line != 23 {
		t.Errorf("hooks = %+v", talk.hooks)
	}
}

func TestInClear(t *testing.T) {
	for line, want := range map[string]bool{
		"anna connects": true, "anna signs in over starttls": true, "anna authenticates over starttls": true,
		"anna connects tls": false, "anna signs in": false, "anna authenticates": false, "anna > <a/>": false,
		`anna signs in with "another"`: false,
	} {
		talk, err := Parse("a.talk", cast+line)
		if err != nil || talk.InClear() != want {
			t.Errorf("%q: in clear is %v, %v, want %v", line, talk.InClear(), err, want)
		}
	}
}

func TestParseFaults(t *testing.T) {
	head := "A talk.\n-- cast --\nanna agent desk.example \"pw\"\n-- talk --\n"
	tests := []struct{ name, in, want string }{
		{"empty", "", "a.talk:1: a talk begins with its title"},
		{"no title", "-- cast --\n", "a.talk:1: a talk begins with its title"},
		{"no cast", "A talk.\n-- talk --\n", "a.talk:1: no cast"},
		{"no talk", "A talk.\n-- cast --\nanna agent desk.example \"pw\"\n", "a.talk:1: no talk"},
		{"cast", "A talk.\n-- cast --\nanna agent \"pw\"\n", `a.talk:3: want NAME ROLE DOMAIN`},
		{"section", "A talk.\n-- act --\n", `a.talk:2: unknown section "act"`},
		{"line", head + "anna says hello", `a.talk:5: not a line of a talk: "anna says hello"`},
		{"who", head + "eve signs in", "a.talk:5: eve is not in the cast"},
		{"wait", head + "wait long", `a.talk:5: wait for how long? "long"`},
		{"nothing sent", head + "anna >", "a.talk:5: anna > what?"},
		{"what else", head + "anna connects now", `a.talk:5: anna connects, and then "now"?`},
		{"another password", head + "anna closes with \"pw\"", `a.talk:5: anna closes, and then "with \"pw\""?`},
		{"expected XML", head + "anna < <a>", "a.talk:5: the expected element isn't well-formed"},
		{"two elements", head + "anna < <a/><b/>", "a.talk:5: one line expects one element"},
		{"text", head + "anna < hello", "a.talk:5: text where an element is expected"},
		{"request", head + "anna signs in\n-- webhook --\nparley", `a.talk:7: want METHOD /PATH, got "parley"`},
		{"body", head + "anna signs in\n-- webhook --\nPOST /\n{", "a.talk:7: the expected body"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse("a.talk", tt.in); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Parse(%q) = %v, want %v", tt.in, err, tt.want)
			}
		})
	}
}

func TestAllTalksParse(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/talks/*.talk")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no talks: %v", err)
	}
	for _, path := range paths {
		if _, err := Load(path); err != nil {
			t.Error(err)
		}
	}
}

func TestWords(t *testing.T) {
	d := &device{}
	tests := []struct{ name, in, want string }{
		{"none", "<a>{x}</a>", "<a>{x}</a>"},
		{"base64", "<a>{base64: n,,n=anna}</a>", "<a>biwsbj1hbm5h</a>"},
		{"nested", "{base64: c={base64: n,,}}", "Yz1iaXdz"},
		{"repeat", "<a>{repeat 3: xy}</a>", "<a>xyxyxy</a>"},
		{"inner braces", "{repeat 2: {x}}", "{x}{x}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := d.words(tt.in); err != nil || got != tt.want {
				t.Errorf("words(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
			}
		})
	}
	if _, err := d.words("{base64: x"); err == nil {
		t.Error("a brace that is never closed passed")
	}
}

// The example of RFC 7677 §3.
func TestScram(t *testing.T) {
	s := newScram("SCRAM-SHA-256", encode([]byte("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")), "pencil")
	s.challenge(encode([]byte("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")))
	proof, err := s.proof("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=")
	if want := "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="; err != nil || proof != want {
		t.Errorf("proof = %q, %v, want %q", proof, err, want)
	}
	signature, err := s.signature()
	if want := "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="; err != nil || signature != want {
		t.Errorf("signature = %q, %v, want %q", signature, err, want)
	}
}
