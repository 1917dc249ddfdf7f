package xmppd

import (
	"strconv"
	"strings"
	"time"

	"parley.im/parley/auth/scram"
	"parley.im/parley/xmppd/im"
)

// signInFeatures are what a stream offers to whoever has not signed in (RFC 6120 §6.4.1).
func (s *Server) signInFeatures(o scram.Offer, fast []string, l *Limits) string {
	var b strings.Builder
	b.WriteString("<stream:features><mechanisms xmlns='" + nsSASL + "'>")
	for _, m := range o.Mechanisms {
		b.WriteString("<mechanism>" + m + "</mechanism>")
	}
	b.WriteString("</mechanisms>")
	s.appendSASL2(&b, o, fast, l)
	if len(o.Bindings) > 0 { // XEP-0440 §3
		b.WriteString("<sasl-channel-binding xmlns='" + nsBindings + "'>")
		for _, t := range o.Bindings {
			b.WriteString("<channel-binding type='" + t + "'/>")
		}
		b.WriteString("</sasl-channel-binding>")
	}
	// Signing in has one deadline for all of it, which no traffic moves, so there is no
	// time of idling to tell.
	b.WriteString(limitsFeature(l.BeforeLogin.Bytes, 0))
	b.WriteString("</stream:features>")
	return b.String()
}

// sessionFeatures are what a stream offers to whoever has signed in: not what he has already,
// where that was asked for together with the sign-in (XEP-0388 §2.6.1).
func (s *Server) sessionFeatures(l *Limits, bound, managed bool) string {
	b := "<stream:features>"
	if !bound {
		b += "<bind xmlns='" + nsBind + "'/><session xmlns='" + nsSession + "'><optional/></session>"
	}
	if !managed {
		b += "<sm xmlns='" + nsSM + "'/>"
	}
	b += "<ver xmlns='urn:xmpp:features:rosterver'/>" + // RFC 6121 §2.6.1
		"<sub xmlns='urn:xmpp:features:pre-approval'/>" // RFC 6121 §3.4
	if l.Held > 0 {
		b += "<csi xmlns='" + nsCSI + "'/>" // XEP-0352 §4.1
	}
	return b + s.capsFeature() + limitsFeature(l.Stanza.Bytes, l.Idle) + "</stream:features>"
}

// capsFeature spares clients the request for what the server can do (XEP-0115 §6.3).
func (s *Server) capsFeature() string {
	return "<c xmlns='" + im.NSCaps + "' hash='sha-1' node='" + capsNode + "' ver='" + s.capsVer + "'/>"
}

// limitsFeature tells the limits of this stream (XEP-0478 §3.1; rule 4).
func limitsFeature(bytes int, idle time.Duration) string {
	b := "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>" + strconv.Itoa(bytes) + "</max-bytes>"
	if idle > 0 {
		b += "<idle-seconds>" + strconv.Itoa(int(idle/time.Second)) + "</idle-seconds>"
	}
	return b + "</limits>"
}
