package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A fault is one that another server had, or a client, or a library: what is known of it,
// and why Parley does not have it.
type fault struct {
	ids    string           // as others know it; several that are one have a space between them
	what   string           // went wrong there
	test   func(*testing.T) // shows that it does not here
	proofs []string         // tests elsewhere that show it: folder and name
	not    string           // or why it cannot: one sentence
}

// faults are all of them that are known here. Whoever builds something that is in the way
// of a fault which could not happen so far replaces its sentence by a test.
var faults = []fault{
	{ids: "CVE-2026-43507", what: "XML amplification before login (Prosody)", test: smallBeforeLogin, proofs: []string{"xmppd/wire TestLimits"}},
	{ids: "CVE-2026-43506", what: "timers and handlers leaked for each unauthenticated connection (Prosody)", test: strangersLeaveNothing, proofs: []string{"xmppd TestStrangersLeaveNothing"}},
	{ids: "CVE-2026-43504 CVE-2026-43505", what: "permission checked on one verb only, link made before activation (Prosody's proxy)",
		not: "Parley carries no files between people (XEP-0065); it comes with whatever takes two steps to be allowed."},
	{ids: "ejabberd-26.07-PLAIN", what: "the password of one name opened a session for another", test: nobodyElse, proofs: []string{"auth TestDenied"}},
	{ids: "ejabberd-26.07-mod_caps", what: "cache poisoned by unverified versions", not: "Parley keeps nothing of XEP-0115; it comes with PEP."},
	{ids: "ejabberd-26.07-mod_pubsub", what: "SQL injection through the ids of pages", test: idsAreValues, proofs: []string{"xmppd/im FuzzParseQuery", "xmppd/im TestOddQueries"}},
	{ids: "ejabberd-26.07-REST", what: "weak random numbers for tokens; redirects, uploads and forms of the web", test: secretsAreRandom},
	{ids: "ejabberd-25.04", what: "only the first of several forged ids was replaced", test: allForgedIDs},
	{ids: "MongooseIM-6.8.0", what: "one form of a request was not asked for its right", test: pagesForOperators, proofs: []string{"cmd/parley TestHealthPages"}},
	{ids: "MongooseIM-2444 MongooseIM-2445", what: "whatever name came in was remembered for ever", test: namesAreForgotten},
	{ids: "CVE-2025-59154", what: "identity read out of a client certificate's text (Openfire)", test: noClientCertificates},
	{ids: "CVE-2024-25421 CVE-2024-25420 OF-2758 OF-2795", what: "what was a deleted user's went to the next of that name (Openfire)", test: startsClean, proofs: []string{"store/storetest agentMadeAnewOwnsNothing"}},
	{ids: "CVE-2023-32315 CVE-2008-6508", what: "a path that leads from a page for all to one for operators (Openfire)", test: pagesForOperators},
	{ids: "OF-3074 OF-3075 OF-3077", what: "fixed IV, SHA-1 as a key, CBC as an oracle (Openfire)", proofs: []string{"store/seal TestVectors", "store/seal TestSealedValueIsBoundToItsPlace", "store/sqlite TestTamperingIsReported"}},
	{ids: "OF-2896", what: "pings kept a stream alive for ever that never signed in (Openfire)", test: oneDeadline},
	{ids: "CVE-2022-0217", what: "a second XML parser without the guard of the first (Prosody)", test: oneParser},
	{ids: "CVE-2021-37601", what: "lists of a room's members readable by outsiders (Prosody)", not: "Parley has no rooms; it comes with them (XEP-0045)."},
	{ids: "CVE-2021-32917", what: "an open proxy (Prosody)", not: "Parley carries no files between people (XEP-0065)."},
	{ids: "CVE-2021-32918", what: "default settings that let anybody take all memory (Prosody)", test: limitsAreOn},
	{ids: "CVE-2021-32919", what: "an option that nobody had written about switched checks off (Prosody)", test: nothingHidden, proofs: []string{"conf TestSampleIsWhatTheFieldsSay", "cmd/parley TestCommandsPageIsFresh"}},
	{ids: "CVE-2021-32920", what: "handshakes without end on one connection (Prosody)", test: noRenegotiation},
	{ids: "CVE-2021-32921", what: "secrets compared byte by byte (Prosody)", test: comparedInConstantTime, proofs: []string{"auth TestUnknownNameLooksTheSame"}},
	{ids: "CVE-2018-10847", what: "a stream that began again moved to another host (Prosody)", test: noOtherHost},
	{ids: "CVE-2016-0756 CVE-2016-1232", what: "fields not apart in a MAC; weak random numbers (Prosody)", test: secretsAreRandom,
		proofs: []string{"xmppd/hook TestFlippingOneByteBreaksBothSignatures", "xmppd/hook TestAReceiverCanVerifyEachEvent", "store/seal TestSealedValueIsBoundToItsPlace"}},
	{ids: "CVE-2014-8760", what: "a way round the TLS that was required (ejabberd)", test: eachStepInItsTurn, proofs: []string{"cmd/parley TestNothingInClear", "cmd/parley TestNothingWithoutAHandshake"}},
	{ids: "CVE-2014-2741 CVE-2014-2745", what: "compression bombs", test: eachStepInItsTurn},
	{ids: "CVE-2011-1753 CVE-2011-1755", what: "a billion laughs (ejabberd, jabberd2)", test: noEntitiesAnywhere},
	{ids: "CVE-2011-4320 CVE-2010-0305", what: "a missing attribute was an endless loop; queues without a bound (ejabberd)", test: slowReaderIsCutAlone, proofs: []string{"xmppd FuzzRoute", "xmppd TestAQueueThatIsFullEndsTheSession"}},
	{ids: "CVE-2015-2058", what: "text cut within a character (jabberd2)", test: wholeCharacters, proofs: []string{"xmppd/hook TestLongTextIsCutBetweenRunes"}},
	{ids: "CVE-2017-5589 CVE-2020-26547", what: "copies and archives believed, whoever sent them (clients)", test: nobodySpeaksForTheServer},
	{ids: "CVE-2022-25236 CVE-2022-22784 CVE-2022-22785 CVE-2022-22786 CVE-2022-22787", what: "two parsers that read one stanza differently (expat, Zoom)",
		proofs: []string{"xmppd/wire TestI9ExpatReadsTheSame", "xmppd/wire FuzzReader", "cmd/parley TestI9WhatArrivesIsWhatWasSent", "cmd/parley TestI9RandomTrees"}},
	{ids: "CVE-2020-29509 CVE-2020-29510 CVE-2020-29511", what: "what was written was not what had been read (encoding/xml)", test: nothingIsReencoded, proofs: []string{"xmppd/wire TestI9GoodElementsAreReadAlike", "xmppd/wire FuzzAppend"}},
	{ids: "CVE-2022-48195", what: "an empty nonce (mellium.im/sasl)", test: longNonces, proofs: []string{"auth/scram TestFirstIsMalformed", "auth/scram TestNonceIsFresh"}},
	{ids: "CVE-2024-46957", what: "an answer taken by its id alone (mellium.im/xmpp)", test: answersAreNoRequests},
	{ids: "CVE-2022-24968", what: "a name checked against what an attacker had said (mellium.im/xmpp)", test: onlyAddressesOfMellium},
}

// known are the ids that there must be a row for.
const known = `
CVE-2026-43507 CVE-2026-43506 CVE-2026-43504 CVE-2026-43505 ejabberd-26.07-PLAIN ejabberd-26.07-mod_caps ejabberd-26.07-mod_pubsub ejabberd-26.07-REST
ejabberd-25.04 MongooseIM-6.8.0 MongooseIM-2444 MongooseIM-2445 CVE-2025-59154 CVE-2024-25421 CVE-2024-25420 OF-2758 OF-2795 CVE-2023-32315 CVE-2008-6508
OF-3074 OF-3075 OF-3077 OF-2896 CVE-2022-0217 CVE-2021-37601 CVE-2021-32917 CVE-2021-32918 CVE-2021-32919 CVE-2021-32920 CVE-2021-32921 CVE-2018-10847
CVE-2016-0756 CVE-2016-1232 CVE-2014-8760 CVE-2014-2741 CVE-2014-2745 CVE-2011-1753 CVE-2011-1755 CVE-2011-4320 CVE-2010-0305 CVE-2015-2058
CVE-2017-5589 CVE-2020-26547 CVE-2022-25236 CVE-2022-22784 CVE-2022-22785 CVE-2022-22786 CVE-2022-22787 CVE-2020-29509 CVE-2020-29510 CVE-2020-29511
CVE-2022-48195 CVE-2024-46957 CVE-2022-24968`

// TestFault goes through the faults that others had, each under its ids. A test that is for
// several of them runs for the first.
func TestFault(t *testing.T) {
	t.Parallel()
	ran := make(map[string]bool)
	for _, f := range faults {
		t.Run(strings.ReplaceAll(f.ids, " ", ","), func(t *testing.T) {
			for _, p := range f.proofs {
				isThere(t, p)
			}
			switch name := nameOf(f.test); {
			case f.not != "":
				t.Skip(f.not)
			case f.test != nil && !ran[name]:
				ran[name] = true
				f.test(t)
			}
		})
	}
}

// Each fault that is known has one row, and each row a reason to be calm.
func TestFaultsAreAllThere(t *testing.T) {
	var rows []string
	for _, f := range faults {
		rows = append(rows, strings.Fields(f.ids)...)
		if shown := f.test != nil || len(f.proofs) > 0; shown == (f.not != "") || f.what == "" {
			t.Errorf("%s needs a test, or a sentence why there is none", f.ids)
		}
		if f.not != "" && !strings.HasSuffix(f.not, ".") {
			t.Errorf("%s: %q is no sentence", f.ids, f.not)
		}
	}
	for _, id := range strings.Fields(known) {
		if n := len(rows); !slices.Contains(rows, id) {
			t.Errorf("%s has no row among %d", id, n)
		}
	}
	slices.Sort(rows)
	for i, id := range rows {
		if i > 0 && rows[i-1] == id || !slices.Contains(strings.Fields(known), id) {
			t.Errorf("%s is there twice, or unknown", id)
		}
	}
}

// isThere fails the test if a proof that the table names does not exist any more.
func isThere(t *testing.T, proof string) {
	t.Helper()
	folder, name, _ := strings.Cut(proof, " ")
	files, err := filepath.Glob("../../" + folder + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return
		}
	}
	t.Errorf("there is no %s in %s", name, folder)
}
