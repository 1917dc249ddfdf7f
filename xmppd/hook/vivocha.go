package hook

// Receivers that were written for Vivocha's webhooks read an array of events, each with
// the conversation as cid, and know some events by other names. Such a body holds one
// event, since one event is what an attempt, a retry and a webhook-id are about. What has
// no name there keeps ours.
var vivochaNames = map[string]string{
	"contact.created":     "new",
	"contact.assigned":    "change",
	"contact.transferred": "change",
	"contact.updated":     "change",
	"contact.closed":      "end",
	"contact.finalized":   "finalized",
	"message.created":     "message",
	"message.delivered":   "message",
	"message.read":        "message",
	"message.redacted":    "message",
}

// vivocha is the event under the name that it has there.
func vivocha(env envelope) envelope {
	if name := vivochaNames[env.Type]; name != "" {
		env.Type = name
	}
	return env
}
