package main

// The states of a document. The first three are those of XEP-0453; a document that is
// only cited lends a detail, or a name, and is no part of what Parley promises.
const (
	complete = "complete"
	partial  = "partial"
	planned  = "planned"
	cited    = "cited"
)

// A document is one that the code obeys or names, or that it is going to obey.
type document struct {
	name    string
	title   string
	version string // that was read: of a XEP its version, of an RFC its year
	state   string
	since   string // Parley's version that did it first
	note    string // of a partial one: what is missing; of a planned one: why it is named already
}

// documents are in the order of docs/protocols.md and doap.xml. The versions are those
// of https://github.com/xsf/xeps at the end of June 2026.
var documents = []document{
	{"RFC 1035", "Domain names: implementation and specification", "1987", cited, "", "lengths of names"},
	{"RFC 3207", "SMTP service extension for secure SMTP over TLS", "2002", cited, "", "mail to operators"},
	{"RFC 3339", "Date and time on the Internet: timestamps", "2002", cited, "", "times in the audit log"},
	{"RFC 3454", "Preparation of internationalized strings (stringprep)", "2002", cited, "", "SASLprep's tables"},
	{"RFC 3834", "Recommendations for automatic responses to electronic mail", "2004", cited, "", "mail to operators"},
	{"RFC 3986", "Uniform Resource Identifier (URI): generic syntax", "2005", cited, "", "which characters a namespace may have"},
	{"RFC 4013", "SASLprep: stringprep profile for user names and passwords", "2005", complete, "0.1", ""},
	{"RFC 4291", "IP version 6 addressing architecture", "2006", cited, "", "where webhooks must not go"},
	{"RFC 4422", "Simple Authentication and Security Layer (SASL)", "2006", cited, "", "as RFC 6120 uses it"},
	{"RFC 4790", "Internet application protocol collation registry", "2007", cited, "", "the order in which capabilities are hashed"},
	{"RFC 5122", "Internationalized Resource Identifiers (IRIs) and URIs for XMPP", "2008", cited, "", "addresses of [contact]"},
	{"RFC 5280", "Internet X.509 public key infrastructure certificate and CRL profile", "2008", cited, "", "the throw-away CA"},
	{"RFC 5321", "Simple Mail Transfer Protocol", "2008", cited, "", "mail to operators"},
	{"RFC 5802", "Salted Challenge Response Authentication Mechanism (SCRAM)", "2010", complete, "0.1", "the server's side"},
	{"RFC 5929", "Channel bindings for TLS", "2010", partial, "0.1", "`tls-server-end-point`; not `tls-unique`, which TLS 1.3 does not have"},
	{"RFC 6052", "IPv6 addressing of IPv4/IPv6 translators", "2010", cited, "", "where webhooks must not go"},
	{"RFC 6066", "TLS extensions: definitions", "2011", cited, "", "a certificate for each name"},
	{"RFC 6068", "The 'mailto' URI scheme", "2010", cited, "", "addresses of [contact]"},
	{"RFC 6120", "XMPP: core", "2011", partial, "0.1", "clients; no other servers yet"},
	{"RFC 6121", "XMPP: instant messaging and presence", "2011", partial, "0.1", "between the agents of an account; no other servers yet"},
	{"RFC 6454", "The web origin concept", "2011", cited, "", "names of [hosts]"},
	{"RFC 6455", "The WebSocket protocol", "2011", cited, "", "visitors; the framing is github.com/coder/websocket's"},
	{"RFC 6585", "Additional HTTP status codes", "2012", cited, "", "what webhooks do about 429"},
	{"RFC 6750", "The OAuth 2.0 authorization framework: bearer token usage", "2012", cited, "", "what a webhook's receiver may want to see"},
	{"RFC 6890", "Special-purpose IP address registries", "2013", cited, "", "where webhooks must not go"},
	{"RFC 7239", "Forwarded HTTP extension", "2014", complete, "0.1", "read from trusted proxies"},
	{"RFC 7301", "TLS application-layer protocol negotiation extension", "2014", cited, "", "one port for XMPP and HTTPS"},
	{"RFC 7395", "An XMPP subprotocol for WebSocket", "2014", planned, "", ""},
	{"RFC 7515", "JSON Web Signature (JWS)", "2015", cited, "", "as RFC 7519 uses it"},
	{"RFC 7519", "JSON Web Token (JWT)", "2015", partial, "0.1", "tokens of the REST API: HS256 and nothing else"},
	{"RFC 7590", "Use of TLS in XMPP", "2015", complete, "0.1", "between client and server"},
	{"RFC 7617", "The 'Basic' HTTP authentication scheme", "2015", cited, "", "what a webhook's receiver may want to see"},
	{"RFC 7622", "XMPP: address format", "2015", complete, "0.1", ""},
	{"RFC 7627", "TLS session hash and extended master secret extension", "2015", cited, "", "when a connection of TLS 1.2 can be bound to"},
	{"RFC 7677", "SCRAM-SHA-256 and SCRAM-SHA-256-PLUS", "2015", complete, "0.1", ""},
	{"RFC 8032", "Edwards-curve digital signature algorithm (EdDSA)", "2017", cited, "", "webhooks that a public key verifies"},
	{"RFC 8246", "HTTP immutable responses", "2017", cited, "", "what the widget is made of"},
	{"RFC 8264", "PRECIS framework", "2017", cited, "", "as RFC 7622 uses it"},
	{"RFC 8265", "Preparation, enforcement, and comparison of user names and passwords", "2017", cited, "", "why passwords are prepared by SASLprep instead"},
	{"RFC 8314", "Cleartext considered obsolete: use of TLS for email submission and access", "2018", cited, "", "mail to operators"},
	{"RFC 8446", "TLS 1.3", "2018", cited, "", "as Go has it"},
	{"RFC 8555", "Automatic certificate management environment (ACME)", "2019", cited, "", "as autocert has it"},
	{"RFC 8725", "JSON Web Token best current practices", "2020", cited, "", "one algorithm, one audience"},
	{"RFC 8737", "ACME TLS application-layer protocol negotiation (ALPN) challenge extension", "2020", cited, "", "as autocert has it"},
	{"RFC 8785", "JSON Canonicalization Scheme (JCS)", "2020", cited, "", "records of the audit log"},
	{"RFC 9110", "HTTP semantics", "2022", cited, "", "webhooks and the REST API"},
	{"RFC 9116", "A file format to aid in security vulnerability disclosure", "2022", complete, "0.1", "`security.txt`, from contact.security"},
	{"RFC 9239", "Updates to ECMAScript media types", "2022", cited, "", "what the widget is made of"},
	{"RFC 9266", "Channel bindings for TLS 1.3", "2022", complete, "0.1", ""},
	{"RFC 9457", "Problem details for HTTP APIs", "2023", complete, "0.1", "what the REST API refuses"},

	{"XEP-0004", "Data Forms", "2.13.2", cited, "", "as the archive's queries use them"},
	{"XEP-0012", "Last Activity", "2.0", complete, "0.1", "`service-unavailable` where its text has `forbidden`, so that nobody learns who exists"},
	{"XEP-0030", "Service Discovery", "2.5.0", complete, "0.1", "of the server and of accounts, for who may see their presence"},
	{"XEP-0035", "SSL/TLS Integration", "0.2", cited, "", "superseded by RFC 6120"},
	{"XEP-0045", "Multi-User Chat", "1.35.5", planned, "", "carbons tell invitations and private words of rooms apart"},
	{"XEP-0049", "Private XML Storage", "1.2", complete, "0.1", ""},
	{"XEP-0054", "vcard-temp", "1.3.0", complete, "0.1", ""},
	{"XEP-0059", "Result Set Management", "1.0", complete, "0.1", "in the archive"},
	{"XEP-0077", "In-Band Registration", "2.4", partial, "0.1", "agents change their passwords; the operator makes and removes them"},
	{"XEP-0082", "XMPP Date and Time Profiles", "1.1.1", complete, "0.1", ""},
	{"XEP-0085", "Chat State Notifications", "2.1", cited, "", "the clients' own; states alone are not kept"},
	{"XEP-0092", "Software Version", "1.1", complete, "0.1", "the name alone"},
	{"XEP-0114", "Jabber Component Protocol", "1.6", planned, "", "its namespace is known"},
	{"XEP-0115", "Entity Capabilities", "1.6.0", complete, "0.1", "of the server"},
	{"XEP-0128", "Service Discovery Extensions", "1.0.1", complete, "0.1", ""},
	{"XEP-0138", "Stream Compression", "2.1", cited, "", "not offered: it lets floods through"},
	{"XEP-0153", "vCard-Based Avatars", "1.1.1", planned, "", ""},
	{"XEP-0157", "Contact Addresses for XMPP Services", "1.1.1", complete, "0.1", ""},
	{"XEP-0160", "Best Practices for Handling Offline Messages", "1.0.1", complete, "0.1", ""},
	{"XEP-0163", "Personal Eventing Protocol", "1.2.2", planned, "", ""},
	{"XEP-0184", "Message Delivery Receipts", "1.4.0", cited, "", "the clients' own; requests are kept, receipts are not"},
	{"XEP-0191", "Blocking Command", "1.3", complete, "0.1", ""},
	{"XEP-0198", "Stream Management", "1.6.3", complete, "0.1", "with resumption, over a restart of the server too"},
	{"XEP-0199", "XMPP Ping", "2.0.1", complete, "0.1", ""},
	{"XEP-0202", "Entity Time", "2.0", complete, "0.1", "of the server"},
	{"XEP-0203", "Delayed Delivery", "2.0", complete, "0.1", ""},
	{"XEP-0223", "Persistent Storage of Private Data via PubSub", "1.1.1", planned, "", ""},
	{"XEP-0249", "Direct MUC Invitations", "1.2", cited, "", "the clients' own; kept like messages"},
	{"XEP-0280", "Message Carbons", "1.0.1", complete, "0.1", ""},
	{"XEP-0297", "Stanza Forwarding", "1.0", complete, "0.1", "in carbons and in the archive"},
	{"XEP-0313", "Message Archive Management", "1.1.3", complete, "0.1", "of one's own conversations, with `#extended`"},
	{"XEP-0333", "Displayed Markers", "1.0.0", cited, "", "the clients' own; kept like messages"},
	{"XEP-0334", "Message Processing Hints", "1.0.0", complete, "0.1", ""},
	{"XEP-0352", "Client State Indication", "1.0.0", complete, "0.1", ""},
	{"XEP-0353", "Jingle Message Initiation", "0.8.0", cited, "", "the clients' own; kept like messages"},
	{"XEP-0357", "Push Notifications", "0.4.1", planned, "", ""},
	{"XEP-0359", "Unique and Stable Stanza IDs", "0.7.0", complete, "0.1", ""},
	{"XEP-0363", "HTTP File Upload", "1.2.0", planned, "", ""},
	{"XEP-0367", "Message Attaching", "0.3", cited, "", "the clients' own; kept like messages"},
	{"XEP-0368", "SRV records for XMPP over TLS", "1.1.0", complete, "0.1", "TLS from the first byte, with ALPN"},
	{"XEP-0373", "OpenPGP for XMPP", "0.7.0", cited, "", "the clients' own; kept like messages"},
	{"XEP-0384", "OMEMO Encryption", "0.9.1", cited, "", "the clients' own; kept like messages"},
	{"XEP-0386", "Bind 2", "1.1.0", partial, "0.1", "what waits is not cleared: not every client that binds so reads the archive"},
	{"XEP-0388", "Extensible SASL Profile", "1.0.4", partial, "0.1", "without tasks; white space within a sign-in is let pass"},
	{"XEP-0398", "User Avatar to vCard-Based Avatars Conversion", "1.0.0", planned, "", ""},
	{"XEP-0402", "PEP Native Bookmarks", "1.2.0", planned, "", ""},
	{"XEP-0410", "MUC Self-Ping (Schrödinger's Chat)", "1.1.0", planned, "", ""},
	{"XEP-0424", "Message Retraction", "0.4.2", cited, "", "the clients' own; kept like messages"},
	{"XEP-0440", "SASL Channel-Binding Type Capability", "1.0.0", complete, "0.1", ""},
	{"XEP-0441", "Message Archive Management Preferences", "0.2.0", complete, "0.1", ""},
	{"XEP-0442", "Pubsub Message Archive Management", "0.2.0", cited, "", "a field of archive queries that is pubsub's"},
	{"XEP-0444", "Message Reactions", "0.2.1", cited, "", "the clients' own; kept like messages"},
	{"XEP-0453", "DOAP usage in XMPP", "0.1.2", complete, "0.1", "`doap.xml`"},
	{"XEP-0474", "SASL SCRAM Downgrade Protection", "0.5.0", complete, "0.1", ""},
	{"XEP-0478", "Stream Limits Advertisement", "0.2.0", complete, "0.1", ""},
	{"XEP-0484", "Fast Authentication Streamlining Tokens", "0.2.0", partial, "0.1", "not in TLS 0-RTT data"},
	{"XEP-0515", "TLS Channel-Binding Downgrade Protection", "0.1.0", complete, "0.1", ""},
}
