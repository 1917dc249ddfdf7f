// Package xmpptest plays golden talks: whole conversations between clients and
// a server, kept as text files that a newcomer can read and a test can run.
//
// The clients are real ones: TLS with the certificate checked, XML streams read
// with encoding/xml, SCRAM through mellium.im/sasl. They know nothing of the
// server's code, so that what a talk shows is what any client would see. A talk
// runs against whatever satisfies Server: one in the same process, joined by
// net.Pipe in a testing/synctest bubble, or one that listens somewhere.
//
// # A talk's file
//
// A title, prose, then sections:
//
//	A visitor's question in one line.
//
//	What to read first, and the sections of the documents it shows.
//
//	-- cast --
//	anna   agent   desk.example   "correct horse"
//
//	-- parley.toml --
//	[resume]
//	for = "1m"
//
//	-- talk --
//	# Anna asks whether the server is there.
//	anna/laptop signs in
//	anna/laptop > <iq type='get' to='desk.example' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>
//	anna/laptop < <iq type='result' from='desk.example' to='anna@desk.example/laptop' id='p1'/>
//
//	-- webhook --
//	POST /parley
//	x-parley-event: agent.available
//	{"type": "agent.available", "data": {...}, ...}
//
// The cast gives name, role, domain and password; whoever runs the talk has
// created these people. The section parley.toml holds settings that the talk
// needs beyond the usual ones, a section account.toml those of the account that the
// first of the cast belongs to. These and webhook may be left out.
//
// # The lines of a talk
//
// WHO is a name of the cast with a resource: anna/laptop. Each WHO is a
// connection of its own.
//
//	# …                a note; printed above a failure as the place in the story
//	WHO connects       opens a connection; nothing is said yet
//	WHO connects tls   the same on the port that speaks TLS at once (XEP-0368)
//	WHO secures        the TLS handshake, after <proceed/> (RFC 6120 §5.4.3.3)
//	WHO signs in       direct TLS, stream, SCRAM, bind; no presence. Also: signs in over starttls
//	WHO authenticates  the same without the bind
//	WHO … with "…"     both of these with another password than the cast's
//	WHO > …            WHO sends this. Indented lines belong to it
//	WHO < …            the next thing WHO gets is this
//	WHO <~ …           adjacent <~ lines of one WHO may come in any order
//	WHO < nothing      all that others sent is settled, and the answer to a ping is the next thing
//	WHO < ...          whatever has come by now is passed over
//	WHO < end          the server ends the stream
//	WHO < cut          the server cuts the line without ending the stream
//	WHO closes         ends the stream, and the server's answer is the next thing
//	WHO drops          cuts the line
//	wait 5m            pretend time passes (only in a synctest bubble)
//	the server restarts
//	the server crashes     nothing is said or written any more; then it starts again
//
// At the end each WHO who is still connected is asked as by "< nothing": a talk
// tells all that the server says. Only two things are passed over unsaid, since
// they may come at any time: white space between stanzas (RFC 6120 §4.6.1) and
// <r/> (XEP-0198 §4). "nothing" sends an XEP-0199 ping; a device that has
// enabled stream management sends <r/> instead, which isn't counted.
//
// # Visitors
//
// Somebody of the cast with the role visitor, and without a password, speaks docs/visitors.md:
//
//	mia opens {…}      opens a contact; $mia is its id, the local part of its JID
//	mia joins          opens a WebSocket and says hello. Also: joins after 17
//	mia > {…}          sends a frame
//	mia < {…}          the next frame is this: compared as the bodies of webhooks are
//	mia < nothing, mia < ..., mia < end, mia drops, mia closes
//
// # What is compared
//
// Elements are compared as trees. Namespaces count, and the order of children;
// the order of attributes and white space between elements do not; text is
// exact; what the talk does not mention is a failure. In expected lines:
//
//   - in text or an attribute: one character or more, whatever they are
//     $name   keeps what stands there; from then on the same must stand there
//     ...     as a child: further attributes and children are allowed here
//
// So a body of exactly three dots, or with a star in it, can't be expected.
// A $name is filled in where a line is sent, too, and these are in both:
//
//	{base64: …}       encoded; an expected one is decoded and then compared
//	{proof}           SCRAM's ClientProof for the message it stands in (RFC 5802 §3)
//	{signature}       SCRAM's ServerSignature
//	{tls-exporter}    the channel binding of this connection (RFC 9266)
//	{repeat 100: …}   the text a hundred times
//
// # Webhooks
//
// The requests that the receiver must have got, in any order, since webhooks
// are sent in parallel. Headers that the talk does not name are not looked at;
// bodies are compared as JSON, with *, $name and ... as above ("*" stands for a
// value of any kind). A line "..." of its own says that further requests may
// have come.
package xmpptest
