package xmppd

import (
	"encoding/xml"
	"log/slog"
	"strings"
	"testing"

	"parley.im/parley/xmppd/im"
)

// Who asks for what the hash of the features stands for must find that it does, or
// takes the server for a liar (XEP-0115 §5.4).
func TestAnnouncedHashIsThatOfTheAnswer(t *testing.T) {
	c := Config{Log: slog.New(slog.DiscardHandler), Contact: map[string][]string{"support": {"https://desk.example/?a&b", "mailto:a@desk.example"}, "abuse": {"xmpp:a@desk.example"}}}
	info := newInfo(c)
	var got struct {
		Identities []struct {
			Category string `xml:"category,attr"`
			Type     string `xml:"type,attr"`
			Name     string `xml:"name,attr"`
		} `xml:"identity"`
		Features []struct {
			Var string `xml:"var,attr"`
		} `xml:"feature"`
		Forms []struct {
			Fields []struct {
				Var    string   `xml:"var,attr"`
				Values []string `xml:"value"`
			} `xml:"field"`
		} `xml:"x"`
	}
	if err := xml.Unmarshal(info.Append(nil, ""), &got); err != nil {
		t.Fatal(err)
	}
	var seen im.Info
	for _, i := range got.Identities {
		seen.Identities = append(seen.Identities, im.Identity{Category: i.Category, Type: i.Type, Name: i.Name})
	}
	for _, f := range got.Features {
		seen.Features = append(seen.Features, f.Var)
	}
	for _, x := range got.Forms {
		f := im.Form{Type: x.Fields[0].Values[0]}
		for _, field := range x.Fields[1:] {
			f.Fields = append(f.Fields, im.Field{Var: field.Var, Values: field.Values})
		}
		seen.Forms = append(seen.Forms, f)
	}
	if len(seen.Identities) == 0 || len(seen.Features) == 0 || len(seen.Forms) != 1 {
		t.Fatalf("the answer is %+v", seen)
	}
	s := New(c)
	defer s.Shutdown(t.Context())
	if feature := s.capsFeature(); !strings.Contains(feature, "ver='"+seen.Ver()+"'") {
		t.Errorf("announced is %s, and the answer's hash %s", feature, seen.Ver())
	}
}
