package conf

import (
	"maps"
	"net/netip"
	"time"
)

// A File is parley.toml with its defaults filled in. Paths are absolute, or
// relative to the working directory if the configuration's own path was.
type File struct {
	// The folder of all that is kept but keys. Changes hold after a restart; until then SIGHUP is refused.
	Data string `toml:"data" default:"'data'" changes:"restart"`
	// The folder of the keys that conversations are encrypted with. It must be another
	// one than data, and neither may lie within the other: best on another disk, and in
	// other backups. Changes hold after a restart, as those of data do.
	Keys string `toml:"keys" default:"'keys'" changes:"restart"`
	// The key that protects all other keys: 32 bytes in base64 or hexadecimal. Without
	// it nothing can be read again, so keep a copy in a safe place. Either
	// { file = "path" }, a file of mode 0600, or { env = "NAME" }. Changes hold after a restart, as those of data do.
	RootKey Secret `toml:"root_key" default:"{ file = 'root.key' }" changes:"restart"`

	// The networks of proxies before the server: what they say of where a connection or a request
	// comes from is believed, and nobody else. "10.1.0.7", "10.1.0.0/16" or a list of them.
	// Changes hold after SIGHUP.
	TrustedProxies []netip.Prefix `toml:"trusted_proxies" default:"[]"`
	// The header in which those proxies say for whom they make an HTTPS request: "X-Forwarded-For"
	// or "Forwarded". The other one is ignored, since proxies pass on what a client puts there.
	// Changes hold after SIGHUP.
	ForwardedHeader string `toml:"forwarded_header" default:"'X-Forwarded-For'" one:"X-Forwarded-For Forwarded"`

	// Where the server listens. Each is an address such as "[::]:5222" or a list of them; ""
	// switches it off. Every listener speaks TLS: no option turns it off. Changes hold after a restart.
	Listen Listen `toml:"listen" changes:"restart"`
	// A listener of which there is more to say, besides those of [listen]. Changes hold after a restart.
	Listeners []Listener `toml:"listener" changes:"restart"`
	// Who may look into the running server. Changes hold after SIGHUP.
	Admin Admin `toml:"admin"`
	// A certificate, as PEM files: a chain that begins with the server's own. Which domains it is
	// for stands in the certificate. The first is also shown to who names no domain (no
	// SNI). Changes hold after SIGHUP; when the files change they are read again within a minute.
	Certificates []Certificate `toml:"certificate"`
	// Certificates from an authority that hands them out by itself (ACME, RFC 8555), for each name
	// that no [[certificate]] is for. It looks at port 443 of the name, which must lead to an
	// HTTPS listener or one for "any", or at port 80, which must lead to listen.redirect.
	// Changes hold after a restart; until then SIGHUP is refused.
	ACME ACME `toml:"acme" changes:"restart"`
	// What one peer may ask of the server. Names that end in _before_login hold until somebody
	// has signed in. Changes hold after SIGHUP.
	Limits Limits `toml:"limits"`
	// Sessions that lost their connection. Changes hold after a restart.
	Resume Resume `toml:"resume" changes:"restart"`
	// How agents sign in. Changes hold after SIGHUP, that of password_change after a restart; what has
	// changed is an event, security.policy_changed.
	Auth Auth `toml:"auth"`
	// What agents find in their contact lists. Changes hold after a restart.
	Roster Roster `toml:"roster" changes:"restart"`
	// What agents read again later. Changes hold after a restart.
	Archive Archive `toml:"archive" changes:"restart"`
	// How long what was said may be kept, by the account's profile: "30d" and the like. An account may
	// ask for less with an option of its own; the shorter one holds. "" is for ever. What is older is
	// destroyed by itself, with the keys that it was encrypted with: in portions of a quarter of that
	// time, or of a month if that is less, as soon as the oldest of a portion has reached the limit.
	// Nothing that is held ('parley account hold', 'parley conversation hold') is destroyed. Changes hold
	// after SIGHUP.
	Retention Retention `toml:"retention"`
	// How events are sent to the receivers that accounts name. Changes hold after a restart.
	Webhook Webhook `toml:"webhook" changes:"restart"`
	// Under which names the server is reached from outside. Each is an https origin such as
	// "https://api.desk.example", and none is like another, so that what one customer shows or
	// uploads never shares one with what another one trusts. Browsers are told to come to these
	// names by https only (HSTS). "" is none. Changes hold after SIGHUP, in events and in what the API says
	// of itself after a restart.
	Hosts Hosts `toml:"hosts"`
	// What programs may ask of accounts over HTTPS. Changes hold after a restart.
	API API `toml:"api" changes:"restart"`
	// What visitors may take, those of all accounts that have some. 0 is no limit. Changes hold after a restart.
	Visitors Visitors `toml:"visitors" changes:"restart"`
	// Mail to those who run the server, about what they must know: trouble with sign-ins,
	// webhooks that are disabled, and the like. Changes hold after a restart; the password's file is
	// read for each mail.
	Mail Mail `toml:"mail" changes:"restart"`
	// Copies of everything but the root key, in other places. Changes hold after a restart.
	Backup Backup `toml:"backup" changes:"restart"`
	// What the server tells its operator, on standard error. Changes hold after a restart.
	Log Log `toml:"log" changes:"restart"`
	// How people reach those who run the server; signed-in agents' clients are told when they ask.
	// Each is a URI such as "mailto:help@desk.example", "xmpp:anna@desk.example" or
	// "https://desk.example/help", or a list of them. Changes hold after a restart, in
	// /.well-known/security.txt after SIGHUP.
	Contact Contact `toml:"contact" changes:"restart"`
	// An account: a customer with a domain, agents, stores and keys of its own. Accounts can
	// also be files of their own in the folder accounts.d beside this file, with the same
	// options and without the [[account]] line; 'parley account add' writes such files. Changes hold
	// after SIGHUP; an account's agents have to sign in again when it is another one than before.
	Accounts []Account `toml:"account"`

	path   string
	sets   []string          // what overrode options
	origin map[string]string // where each key stands: "parley.toml:14"
}

// Listen is the table [listen].
type Listen struct {
	// XMPP with STARTTLS; nothing else is offered before it.
	StartTLS []string `toml:"starttls" default:"'[::]:5222'"`
	// XMPP with TLS from the first byte.
	TLS []string `toml:"tls" default:"'[::]:5223'"`
	// HTTPS: health, metrics.
	HTTPS []string `toml:"https" default:"'[::]:8443'"`
	// HTTP, for browsers that come to port 80: they are sent to https, and nothing else is said.
	// With [acme] the authority finds there what it looks for. Such as "[::]:80".
	Redirect []string `toml:"redirect" default:"''"`
	// The unix socket through which the operator's commands reach a running server; ""
	// is control.sock in the data folder.
	Control string `toml:"control" default:"''"`
}

// A Listener is an address and how it is listened on.
type Listener struct {
	// Where: one address.
	Address string `toml:"address" example:"'[::]:443'"`
	// What is spoken there: "starttls", "tls" and "https" as in [listen]; "any" is XMPP for clients that
	// ask for it in the TLS handshake (ALPN "xmpp-client", XEP-0368) and HTTPS for all others.
	For string `toml:"for" example:"'any'" one:"starttls tls https any"`
	// Whether a proxy is before it that begins each connection with a PROXY header (version 1 or
	// 2), which says who it is. Connections from elsewhere than trusted_proxies are closed.
	ProxyProtocol bool `toml:"proxy_protocol" default:"false"`
	// Whether sign-ins can be bound to the TLS connection. Not where a proxy ends the client's and
	// makes one of its own: no client that binds could sign in there.
	ChannelBinding bool `toml:"channel_binding" default:"true"`
}

// ACME is the table [acme].
type ACME struct {
	// The authority's directory, such as "https://acme-v02.api.letsencrypt.org/directory" for Let's
	// Encrypt. To name it is to agree to its terms of service. "" switches this off.
	Directory string `toml:"directory" default:"''"`
	// Whom the authority may tell about trouble.
	Email string `toml:"email" default:"''"`
	// The folder of the account's key and of the certificates with their keys; nobody else may look
	// into it. "" is acme in the folder of keys.
	Cache string `toml:"cache" default:"''"`
	// A file of the authorities that vouch for the directory, for one of your own. "" is
	// those of the system.
	Roots string `toml:"roots" default:"''"`
}

// On says whether certificates are got by ACME.
func (a ACME) On() bool { return a.Directory != "" }

// Admin is the table [admin].
type Admin struct {
	// Networks that may read /readyz and /metrics over HTTPS.
	Networks []netip.Prefix `toml:"networks" default:"['127.0.0.0/8', '::1/128']"`
}

// A Certificate is a pair of PEM files.
type Certificate struct {
	// The file of the certificate and what leads from it to a root.
	Cert string `toml:"cert" example:"'tls/cert.pem'"`
	// The file of its private key.
	Key string `toml:"key" example:"'tls/key.pem'"`
}

// Limits is the table [limits].
type Limits struct {
	// Bytes in a stanza.
	Stanza            Size `toml:"stanza" default:"'256 KiB'" min:"10000"`
	StanzaBeforeLogin Size `toml:"stanza_before_login" default:"'10 KiB'" min:"1024"`
	// Elements inside one another.
	Depth            int `toml:"depth" default:"64" min:"8"`
	DepthBeforeLogin int `toml:"depth_before_login" default:"8" min:"3"`
	// Attributes of one element.
	Attributes            int `toml:"attributes" default:"64" min:"8"`
	AttributesBeforeLogin int `toml:"attributes_before_login" default:"16" min:"8"`
	// Elements in a stanza, at all depths.
	Children            int `toml:"children" default:"4096" min:"16"`
	ChildrenBeforeLogin int `toml:"children_before_login" default:"32" min:"8"`

	// How long a TLS handshake may take.
	Handshake time.Duration `toml:"handshake" default:"'10s'" min:"1s"`
	// How long it may take from connecting to being signed in, all in all.
	Login time.Duration `toml:"login" default:"'30s'" min:"1s"`
	// Connections that have not signed in yet: in all, and from one address (an IPv6
	// network of 64 bits counts as one). 0 is no limit.
	Unauthenticated           int `toml:"unauthenticated" default:"10000" min:"0"`
	UnauthenticatedPerAddress int `toml:"unauthenticated_per_address" default:"256" min:"0"`
	// What one session may send, on average; a burst of two seconds' worth passes. The server
	// reads more slowly from who sends more. 0 is no limit.
	BytesPerSecond   Size `toml:"bytes_per_second" default:"'8 MiB'" min:"0"`
	StanzasPerSecond int  `toml:"stanzas_per_second" default:"0" min:"0"`
	// Sessions of one agent at a time.
	SessionsPerAgent int `toml:"sessions_per_agent" default:"32" min:"1"`
	// Stanzas, and their bytes, that wait for a device which reads too slowly. When there are
	// more, its session ends; nothing is lost.
	Queue      int  `toml:"queue" default:"4096" min:"16"`
	QueueBytes Size `toml:"queue_bytes" default:"'4 MiB'" min:"65536"`
	// Presence, "is typing" and headlines that wait until somebody looks at a device whose client
	// says that nobody does, which spares a phone's battery (XEP-0352). When there are more, or when
	// something comes that cannot wait, the device gets them all. 0 switches it off.
	Held int `toml:"held" default:"512" min:"0"`
	// After this long without a word the server asks whether the peer is still there ...
	Idle time.Duration `toml:"idle" default:"'5m'" min:"1s"`
	// ... and when nothing has come this long after that, it is gone.
	IdleAnswer time.Duration `toml:"idle_answer" default:"'1m'" min:"1s"`
}

// Resume is the table [resume].
type Resume struct {
	// How long one can be taken up again. "0s" switches it off.
	For time.Duration `toml:"for" default:"'5m'" min:"0s"`
}

// Auth is the table [auth].
type Auth struct {
	// Rounds of hashing for a password. A new value holds for accounts without agents; in
	// others after 'parley account reissue', and then every password has to be set anew.
	Iterations int `toml:"iterations" default:"100000" min:"10000"`
	// Whether SCRAM-SHA-1 is offered, for old clients.
	SHA1 bool `toml:"sha1" default:"true"`
	// Whether sign-ins are bound to their TLS connection where the client can do it. Only old
	// clients that try it and get it wrong are a reason to switch it off.
	ChannelBinding bool `toml:"channel_binding" default:"true"`
	// Whether wrong passwords lock a name for the address they came from, ...
	Lockout bool `toml:"lockout" default:"true"`
	// ... after how many of them, ...
	LockoutFailures int `toml:"lockout_failures" default:"5" min:"1"`
	// ... and for how long at first; it grows.
	LockoutFor time.Duration `toml:"lockout_for" default:"'5m'" min:"1s"`
	// Whether new passwords are held to the rules that follow; also, they may not be
	// the agent's name or a common password.
	PasswordPolicy bool `toml:"password_policy" default:"true"`
	// Characters in a password, at least.
	PasswordLength int `toml:"password_length" default:"8" min:"1"`
	// Digits and symbols among them, at least.
	PasswordDigitsOrSymbols int `toml:"password_digits_or_symbols" default:"2" min:"0"`
	// Whether agents may change their own passwords with their clients.
	PasswordChange bool `toml:"password_change" default:"true" changes:"restart"`
}

// Roster is the table [roster].
type Roster struct {
	// Whether the agents of an account find each other there, in a group of their own.
	Colleagues bool `toml:"colleagues" default:"true"`
	// Accounts with more agents go without that group: everybody's presence would go to
	// everybody. When an account passes this number, all its agents have to sign in again.
	ColleaguesMax int `toml:"colleagues_max" default:"1000" min:"0"`
}

// Archive is the table [archive].
type Archive struct {
	// Messages in one page of an answer, at most.
	Page int `toml:"page" default:"250" min:"1"`
}

// Retention is the table [retention]: zero is for ever.
type Retention struct {
	Solo       time.Duration `toml:"solo" default:"''"`
	Starter    time.Duration `toml:"starter" default:"''"`
	Plus       time.Duration `toml:"plus" default:"''"`
	Enterprise time.Duration `toml:"enterprise" default:"''"`
}

// Webhook is the table [webhook].
type Webhook struct {
	// Networks that receivers may be in although they are private, such as "10.1.0.0/16".
	// All others must have public addresses.
	Allow []netip.Prefix `toml:"allow" default:"[]"`
	// Ports of receivers outside those networks.
	Ports []int `toml:"ports" default:"[80, 443, 8443]"`
	// How long a receiver may take to answer, in all, ...
	Timeout time.Duration `toml:"timeout" default:"'15s'" min:"1s"`
	// ... and until a connection stands.
	Connect time.Duration `toml:"connect" default:"'5s'" min:"1s"`
	// Events on the way to one receiver at the same time.
	Concurrency int `toml:"concurrency" default:"8" min:"1"`
}

// Hosts is the table [hosts].
type Hosts struct {
	// The REST API: what is too long for a webhook then names the place where all of it can be
	// read. Without it the API answers under every name that is none of the others.
	API string `toml:"api" default:"''" changes:"restart"`
	// The console.
	Console string `toml:"console" default:"''"`
	// What visitors see on web pages.
	Widget string `toml:"widget" default:"''"`
	// What people sent.
	Files string `toml:"files" default:"''"`
}

// Origins are the origins that there are, by what they are for.
func (h Hosts) Origins() map[string]string {
	all := map[string]string{"api": h.API, "console": h.Console, "widget": h.Widget, "files": h.Files}
	maps.DeleteFunc(all, func(_, origin string) bool { return origin == "" })
	return all
}

// API is the table [api].
type API struct {
	// Requests that one key may send in a minute. 0 is no limit.
	PerMinute int `toml:"requests_per_minute" default:"600" min:"0"`
}

// Mail is the table [mail].
type Mail struct {
	// The mail server with its port, such as "mail.example:465"; "" switches mail off.
	Server string `toml:"server" default:"''"`
	// How TLS begins there: "implicit", with the first byte, as on port 465; "starttls", as on
	// port 587, where nothing is sent before it. "none" is only for a server on this machine.
	TLS string `toml:"tls" default:"'implicit'" one:"implicit starttls none"`
	// Whom to sign in as; "" signs in nowhere.
	User string `toml:"user" default:"''"`
	// The password: { file = "path" } or { env = "NAME" }.
	Password Secret `toml:"password" default:"''"`
	// The sender's address.
	From string `toml:"from" default:"''"`
	// Who gets the mail: an address or a list of them.
	To []string `toml:"to" default:"[]"`
	// A file of the authorities that vouch for the server, for one of your own; "" is those of
	// the system.
	Roots string `toml:"roots" default:"''"`
	// Of one kind an account sends one mail in this time; what happens meanwhile is in the next.
	Every time.Duration `toml:"every" default:"'10m'" min:"1s"`
	// All accounts together send at most so many in an hour; what is over that waits.
	PerHour int `toml:"per_hour" default:"60" min:"1"`
}

// Backup is the table [backup].
type Backup struct {
	// Whom copies are sealed to: public keys of age, "age1...", as 'parley backup keygen' makes
	// them. The server itself cannot read what it has copied; who has the other half of one of
	// these keys can, so keep that somewhere else. None is no copies.
	Recipients []string `toml:"recipients" default:"[]"`
	// How often what has changed is copied, ...
	Every time.Duration `toml:"every" default:"'5m'" min:"1s"`
	// ... and at what time of the day everything is.
	FullAt string `toml:"full_at" default:"'03:00'"`
	// How long copies of data are kept.
	KeepData time.Duration `toml:"keep_data" default:"'183d'" min:"48h"`
	// How long copies of keys are kept: a conversation that was destroyed is gone for good when
	// the last copy of its key is. At most 7d, and less than keep_data.
	KeepKeys time.Duration `toml:"keep_keys" default:"'6d'" min:"48h"`
	// When the newest copy in a place is older than this, the log, the metrics and an event say so.
	Stale time.Duration `toml:"stale" default:"'10m'" min:"1s"`
	// A place for copies. There must be at least one for data and another one for keys: who
	// has both, and the root key, can read everything.
	Targets []BackupTarget `toml:"target"`
}

// A BackupTarget is a place for copies.
type BackupTarget struct {
	// What it is for, "data" or "keys".
	Of string `toml:"of" default:"'data'" one:"data keys"`
	// A folder, which must be there, or "s3://bucket/prefix" for what speaks S3.
	To string `toml:"to" example:"'s3://bucket/parley'"`
	// For S3: the address of the service, ...
	Endpoint string `toml:"endpoint" example:"'https://s3.example'"`
	// ... the region, where it has some, ...
	Region string `toml:"region" default:"''"`
	// ... the name of the key that may write there, ...
	KeyID string `toml:"key_id" example:"'parley'"`
	// ... and the secret key: { env = "NAME" } or { file = "path" }.
	Key Secret `toml:"key" example:"{ env = 'PARLEY_BACKUP_KEY' }"`
}

// Log is the table [log].
type Log struct {
	// "debug", "info", "warn" or "error".
	Level string `toml:"level" default:"'info'" one:"debug info warn error"`
	// "text" or "json".
	Format string `toml:"format" default:"'text'" one:"text json"`
	// Whether the XML of sessions is shown at level "debug", without what was said and
	// without sign-ins.
	Wire bool `toml:"wire" default:"false"`
}

// Contact is the table [contact] (XEP-0157 §3).
type Contact struct {
	// Who hears of abuse, such as spam.
	Abuse []string `toml:"abuse" default:"[]"`
	// Who runs the server.
	Admin []string `toml:"admin" default:"[]"`
	// Who wants to know what people think.
	Feedback []string `toml:"feedback" default:"[]"`
	// Who sells.
	Sales []string `toml:"sales" default:"[]"`
	// Who is told of weaknesses.
	Security []string `toml:"security" default:"[]"`
	// Where it is told whether everything works.
	Status []string `toml:"status" default:"[]"`
	// Who helps.
	Support []string `toml:"support" default:"[]"`
}

// Addresses are the lists by what they are for.
func (c Contact) Addresses() map[string][]string {
	return map[string][]string{
		"abuse": c.Abuse, "admin": c.Admin, "feedback": c.Feedback, "sales": c.Sales,
		"security": c.Security, "status": c.Status, "support": c.Support,
	}
}

// An Account is one customer of the installation.
type Account struct {
	// Names the account in commands and folders: 1 to 32 of a-z, 0-9 and "-".
	ID string `toml:"id" example:"'desk'"`
	// The account's XMPP domain, what follows the @ in its agents' addresses.
	Domain string `toml:"domain" example:"'desk.example'"`
	// "solo", "starter", "plus", or "enterprise", which encrypts what is stored.
	Profile string `toml:"profile" default:"'enterprise'" one:"solo starter plus enterprise"`
	// Whether nobody may sign in.
	Disabled bool `toml:"disabled" default:"false"`
	// How long what was said may be kept, at most: see [retention].
	Retention time.Duration `toml:"retention" default:"''"`
	// Overrides auth.sha1 for this account.
	SHA1 *bool `toml:"sha1" example:"true"`
	// Whether people can write to the account's agents from web pages and apps: see docs/visitors.md.
	Visitors bool `toml:"visitors" default:"false"`
	// How contacts with visitors are dealt with. The account's own people can set each option otherwise
	// (PATCH /v1/desk of the API). In accounts.d the tables are [desk], [widget] and [files].
	Desk Desk `toml:"desk"`
	// What visitors see. The account's own people can set each option otherwise (PATCH /v1/widget).
	Widget Widget `toml:"widget"`
	// What visitors and agents can send each other besides words: see hosts.files.
	Files Files `toml:"files"`
}
