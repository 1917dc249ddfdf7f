// Package storetest is what every engine must do. An engine's own tests call Run
// with a way to open an empty account.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"parley.im/parley/store"
)

// Open opens an empty account, and answers with it a way to close it and open what it
// has kept again. Both close at the test's end.
type Open func(t *testing.T) (a store.Account, reopen func() store.Account)

// Run runs all tests of the suite against an engine.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"AppendNumbersWithoutGaps", appendNumbersWithoutGaps},
		{"DonesComeInTheOrderOfOrdinals", donesComeInOrder},
		{"GroupIsToldAfterItsDones", groupIsToldAfterItsDones},
		{"BatchIsAllOrNothing", batchIsAllOrNothing},
		{"EmptyBatchIsDecided", emptyBatchIsDecided},
		{"RepeatIsNotAppendedAgain", repeatIsNotAppendedAgain},
		{"RepeatWithinOneBatch", repeatWithinOneBatch},
		{"WatchTellsOfGrowth", watchTellsOfGrowth},
		{"LogIsReadFromACursor", logIsReadFromACursor},
		{"DirectIsOneForBoth", directIsOneForBoth},
		{"DirectsAreListed", directsAreListed},
		{"DirectIsOneUnderConcurrency", directIsOneUnderConcurrency},
		{"JournalIsOne", journalIsOne},
		{"HappenedIsTheJournal", happenedIsTheJournal},
		{"OthersSeeNothing", othersSeeNothing},
		{"PagesForwardsAndBackwards", pagesForwardsAndBackwards},
		{"PagesByTime", pagesByTime},
		{"PagesOfOneConversation", pagesOfOneConversation},
		{"PagesOfSomeConversations", pagesOfSomeConversations},
		{"PagesMergeManyConversations", pagesMergeManyConversations},
		{"RecordsFromAnyNumber", recordsFromAnyNumber},
		{"InboxHasWhatOthersSaid", inboxHasWhatOthersSaid},
		{"InboxHasWhatOneSaidToOneself", inboxHasWhatOneSaidToOneself},
		{"DeliveryIsKept", deliveryIsKept},
		{"AgentsAreListed", agentsAreListed},
		{"AgentsAreImported", agentsAreImported},
		{"AgentMadeAnewOwnsNothing", agentMadeAnewOwnsNothing},
		{"AgentMadeAnewSeesNothingOld", agentMadeAnewSeesNothingOld},
		{"DeletedPairIsShredded", deletedPairIsShredded},
		{"CredentialsAreKept", credentialsAreKept},
		{"CredentialIsReplaced", credentialIsReplaced},
		{"OwnIsKept", ownIsKept},
		{"OwnIsKeptLater", ownIsKeptLater},
		{"SecretsAndSettings", secretsAndSettings},
		{"ArchiveIDsAreEachViewersOwn", archiveIDs},
		{"EndpointsAdvance", endpointsAdvance},
		{"TokenIsRotated", tokenIsRotated},
		{"APIKeysAreKept", apiKeysAreKept},
		{"LimitsHoldForManyAtOnce", limitsHoldForManyAtOnce},
		{"AnswersAreKept", answersAreKept},
		{"OldDeliveriesAreForgotten", oldDeliveriesAreForgotten},
		{"AttemptsAreKept", attemptsAreKept},
		{"ContactIsKept", contactIsKept},
		{"ContactChangesWithItsRecords", contactChangesWithItsRecords},
		{"ContactIsChangedOnce", contactIsChangedOnce},
		{"ContactChangesWithARepetition", contactChangesWithARepetition},
		{"ContactIsSeen", contactIsSeen},
		{"ContactIsHidden", contactIsHidden},
		{"ContactsAreListed", contactsAreListed},
		{"ContactNeverBegunIsGone", contactNeverBegunIsGone},
		{"ShreddedContactIsGone", shreddedContactIsGone},
		{"DeletedAgentLeavesContacts", deletedAgentLeavesContacts},
		{"ResumesAreTakenOnce", resumesAreTakenOnce},
		{"TranscriptIsWhole", transcriptIsWhole},
		{"ShreddedIsGone", shreddedIsGone},
		{"ShreddedIDsKeepPaging", shreddedIDsKeepPaging},
		{"EverythingIsThereAgain", everythingIsThereAgain},
		{"ClosedTakesNothing", closedTakesNothing},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// start is a time for records; tests add to it.
var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// A desk is an account with what tests need of it.
type desk struct {
	store.Account
	t   *testing.T
	ctx context.Context
}

func newDesk(t *testing.T, a store.Account) *desk { return &desk{a, t, t.Context()} }

// agent adds an agent.
func (d *desk) agent(name string) store.AgentID {
	d.t.Helper()
	a, err := d.AddAgent(d.ctx, name, "", store.Credential{Scope: "xmpp", Label: "password", Verifier: []byte("verifier of " + name)})
	if err != nil {
		d.t.Fatal(err)
	}
	return a.ID
}

func (d *desk) direct(a, b store.AgentID) store.Conversation {
	d.t.Helper()
	c, err := d.Direct(d.ctx, a, b)
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// said is one message.
func said(c store.Conversation, actor store.AgentID, at time.Time, text string) store.Op {
	return store.Op{Conversation: c, Kind: store.KindMessage, Actor: actor, At: at, Data: []byte(text)}
}

// append appends a batch and waits until it is decided.
func (d *desk) append(ops ...store.Op) *store.Batch {
	d.t.Helper()
	done := make(chan struct{})
	b := &store.Batch{Ops: ops, Done: func(*store.Batch) { close(done) }}
	d.Append(b)
	<-done
	return b
}

// say appends one message and answers its ordinal.
func (d *desk) say(c store.Conversation, actor store.AgentID, at time.Time, text string) store.Ordinal {
	d.t.Helper()
	b := d.append(said(c, actor, at, text))
	if b.Err != nil {
		d.t.Fatal(b.Err)
	}
	return b.Ops[0].Ordinal
}

// texts collects what entries hold.
func texts(into *[]string) func(*store.Entry) error {
	return func(e *store.Entry) error {
		*into = append(*into, string(e.Data))
		return nil
	}
}

// page reads a page as texts.
func (d *desk) page(p store.Page) (found []string, complete bool) {
	d.t.Helper()
	complete, err := d.Page(d.ctx, p, texts(&found))
	if err != nil {
		d.t.Fatal(err)
	}
	return found, complete
}

func (d *desk) count(p store.Page) int {
	d.t.Helper()
	n, err := d.Count(d.ctx, p)
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

func (d *desk) inbox(agent store.AgentID, after store.Ordinal, max int) (found []string) {
	d.t.Helper()
	if err := d.Inbox(d.ctx, agent, after, max, texts(&found)); err != nil {
		d.t.Fatal(err)
	}
	return found
}

func (d *desk) transcript(id store.ConversationID) (found []string) {
	d.t.Helper()
	if err := d.Transcript(d.ctx, id, texts(&found)); err != nil {
		d.t.Fatal(err)
	}
	return found
}

// want fails unless got prints as want does.
func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprintf("%v", got), fmt.Sprintf("%v", want); g != w {
		t.Errorf("%s is %s, want %s", what, g, w)
	}
}

// wantErr fails unless err is target.
func wantErr(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s answers %v, want %v", what, err, target)
	}
}

// must fails on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// collector gathers batches as they are told.
type collector struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	told []*store.Batch
}

func (c *collector) batch(ops ...store.Op) *store.Batch {
	c.wg.Add(1)
	return &store.Batch{Ops: ops, Done: func(b *store.Batch) {
		c.mu.Lock()
		c.told = append(c.told, b)
		c.mu.Unlock()
		c.wg.Done()
	}}
}
