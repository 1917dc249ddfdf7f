package hook

import (
	"encoding/json"
	"strings"

	"parley.im/parley/store"
)

// Wants says whether the endpoint is to hear of the entry. A test is for the
// endpoint that it names, whatever else that one asked for.
func Wants(ep *store.Endpoint, e *store.Entry) bool {
	name := e.Kind.Event()
	switch {
	case name == "" || e.Locked:
		return false // nothing can be told: it counts as settled
	case e.Kind == store.KindWebhookTest:
		return testFor(e) == ep.ID
	}
	return matches(ep.Events, name)
}

// matches says whether a list of event names and wildcards such as "agent.*"
// takes in the event. The empty list takes in all.
func matches(list []string, name string) bool {
	for _, want := range list {
		prefix, wild := strings.CutSuffix(want, "*")
		switch {
		case want == name, want == "*":
			return true
		case wild && strings.HasSuffix(prefix, ".") && strings.HasPrefix(name, prefix):
			return true
		}
	}
	return len(list) == 0
}

// testFor is the endpoint that a webhook.test record names.
func testFor(e *store.Entry) string {
	var data struct {
		Endpoint string `json:"endpoint"`
	}
	if json.Unmarshal(e.Data, &data) != nil {
		return ""
	}
	return data.Endpoint
}
