package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// rules are what is easily got wrong; comments name them by their numbers.
var rules = map[int]string{
	1:  "A client's `from` is absent or its own; anything else ends the stream with `invalid-from`. The server stamps the full JID.",
	2:  "After sign-in a stream header that names somebody or some host else ends the stream.",
	3:  "DTDs, processing instructions, comments and undefined entities are `restricted-xml`; bad UTF-8 and other encodings end the stream.",
	4:  "Size, depth, attributes and children have limits, small before sign-in; over them the stream ends with `policy-violation`.",
	5:  "A stanza before sign-in or bind is a stream error, never a stanza error; an unknown top-level element is `unsupported-stanza-type`.",
	6:  "The same resource bound twice: the newest wins, the older stream gets `conflict`, and nothing queued is lost or doubled.",
	7:  "A bad resource is refused, and one that the server makes cannot be guessed.",
	8:  "JIDs are compared after preparation everywhere, and their parts have at most 1,023 bytes.",
	9:  "A request without id, or without exactly one payload, is `bad-request`; an error is never answered by an error.",
	10: "Without TLS nothing is offered but STARTTLS, and what follows `<proceed/>` in the plain buffer is dropped.",
	11: "The flag `y` with `-PLUS` on offer fails, as do an unknown binding and wrong binding data.",
	12: "Nobody signs in as somebody else: another authzid fails.",
	13: "The hash over what was offered (XEP-0474), and the TLS version (XEP-0515), are as their texts say.",
	14: "`tls-server-end-point` is offered whenever a `-PLUS` is, and never `tls-unique`.",
	15: "FAST tokens: bound to mechanism and device, rotated, invalidated, counted; a new password ends them.",
	16: "SASL2: nothing else during the exchange, one exchange, `resume` before `bind`.",
	17: "An unknown name gets the same challenge as a known one, always the same, for the same work.",
	18: "To nobody: a uniform answer for strangers; within the account a mistyped colleague is noticed.",
	19: "To a bare JID with devices online: by type and priority; never to a negative one; requests are answered by the server.",
	20: "To a bare JID with none online: chat and normal messages wait, the other types do not.",
	21: "To a full JID that is not there: chat as to the bare JID, requests refused, the rest dropped.",
	22: "To a full JID that is there: delivered whatever its priority, even without presence.",
	23: "What waited comes once, in order, with one delay, on the first presence; what was read in the archive does not come again.",
	24: "A roster set has one item with decent groups, and nobody else's; the server ignores `subscription` but for `remove`, and `ask`.",
	25: "A roster push goes to every device that asked for the roster, the setter's included, and the result comes as well.",
	26: "Roster versions: a known one gets an empty result and pushes in order, an unknown one the whole roster.",
	27: "The subscription machine, all states and stanzas; no push twice; a request alone is not in the roster.",
	28: "A request to subscribe is kept, and sent at each sign-in until it is answered.",
	29: "Probes are answered for subscribers only; one's own devices see each other.",
	30: "Directed presence is remembered, and taken back at the end of the session however it ends.",
	31: "Each session's end is told exactly once, after a resumption that came too late as well.",
	32: "Only messages, presence and requests are counted, modulo 2^32; an `h` that cannot be ends the stream.",
	33: "`enable` before bind is refused, a second one ends the stream; the id cannot be guessed and is the agent's alone.",
	34: "Resuming: after sign-in, by the same agent; a wrong id is `item-not-found`; what was not acknowledged comes in order.",
	35: "When a resumption comes too late, what was not acknowledged goes to other devices or waits, never a second time into the archive.",
	36: "The queue has a bound, over which the session ends and cannot be resumed; a restart keeps the counters exact.",
	37: "Carbons: of what and to whom, never to the device that sent or was addressed, wrapped in the own bare JID's name.",
	38: "A wrapper that a client made never gains the server's authority.",
	39: "Every `stanza-id` in our name is removed, one is added, and each side sees its own; `origin-id` stays.",
	40: "Archive queries: unknown fields and ids are refused, pages are right in both directions, and in the archive's order.",
	41: "Somebody else's archive is refused as a missing one is; each message has one entry.",
	52: "disco says the same of a colleague, a stranger and nobody.",
	53: "Blocking, in both directions and all forms, told to the devices that asked for the list.",
	54: "A slot is for one file of one size and type, once; what is too large is told with the limit, and nothing that is got is run.",
	55: "While a client is inactive, presence and the like is held back, in order, and bounded.",
	56: "When somebody is removed nothing of theirs stays, and who gets the name starts clean.",
}

// Each rule is named by a test or a talk that shows it.
func TestProtocolsRulesAreShown(t *testing.T) {
	t.Parallel()
	shown := make(map[int]bool)
	for _, r := range remarks(t) {
		for _, n := range r.rules() {
			if rules[n] == "" {
				t.Errorf("%s names rule %d, which protocols_rules_test.go does not have", r.file, n)
			}
			shown[n] = shown[n] || r.proves()
		}
	}
	for _, n := range slices.Sorted(maps.Keys(rules)) {
		if !shown[n] {
			t.Errorf("no test or talk names rule %d: %s", n, rules[n])
		}
	}
}

func rulesTable(b *strings.Builder, all []remark) {
	shown, obeyed := make(map[int][]remark), make(map[int][]remark)
	for _, r := range all {
		for _, n := range r.rules() {
			if r.proves() {
				shown[n] = append(shown[n], r)
			} else {
				obeyed[n] = append(obeyed[n], r)
			}
		}
	}
	for _, n := range slices.Sorted(maps.Keys(rules)) {
		by := places(shown[n])
		if by == "" {
			by = "not yet"
		}
		fmt.Fprintf(b, "| %d | %s | %s | %s |\n", n, rules[n], by, places(obeyed[n]))
	}
}
