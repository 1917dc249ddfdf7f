package web

import (
	"context"
	"strconv"
	"strings"

	"parley.im/parley/store"
	"parley.im/parley/store/audit"
)

func isHTTPS(url string) bool { return strings.HasPrefix(strings.ToLower(url), "https://") }

// tell has the audit log know whether somebody wants what was said to go in clear, and who.
func (w *WebhookWishes) tell(ctx context.Context) {
	if w.ConfirmClear != nil {
		audit.Tell(ctx, "confirm_clear", strconv.FormatBool(*w.ConfirmClear))
	}
}

// confirm notes that what was said may go to the endpoint over plain http. The owner says so
// of one URL; another one takes it back, as thin bodies do.
func (w *WebhookWishes) confirm(c *caller, e *store.Endpoint, before string) error {
	if e.URL != before || e.Thin {
		e.Clear = false
	}
	switch {
	case w.ConfirmClear == nil:
		return nil
	case !*w.ConfirmClear:
		e.Clear = false
		return nil
	case !c.operator && c.role < Owner:
		return Refuse(BeyondRole, "that what was said goes over plain http wants the role %s; the key's is %s", Owner, c.role)
	case isHTTPS(e.URL):
		return refuse("there is nothing to confirm: the URL is https")
	case e.Thin:
		return refuse("there is nothing to confirm: the payload is thin, without what was said")
	case c.Sealed:
		return refuse("account %s encrypts what it keeps, so what was said goes over https only", c.ID).hint("use https; over http the receiver is told who wrote to whom")
	}
	e.Clear = true
	return nil
}
