package main

import (
	"fmt"
	"html"
	"strings"
)

// doap describes the project as XEP-0453 §4 asks: in RDF/XML, with each extension's
// state. RFCs have none there, so that only those are named which are obeyed.
func doap() string {
	var b strings.Builder
	b.WriteString(`<?xml version='1.0' encoding='UTF-8'?>
<!-- Made by make refs from cmd/parley/protocols_documents_test.go. -->
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'
         xmlns='http://usefulinc.com/ns/doap#'
         xmlns:xmpp='https://linkmauve.fr/ns/xmpp-doap#'>
  <Project>
    <name>Parley</name>
    <shortdesc xml:lang='en'>XMPP server for customer conversations</shortdesc>
    <description xml:lang='en'>An XMPP server that companies run themselves to talk with their customers: agents answer in any Jabber client over TLS, every conversation is stored encrypted with a key of its own, and everything that happens leaves as a signed webhook.</description>
    <license rdf:resource='https://www.apache.org/licenses/LICENSE-2.0'/>
    <programming-language>Go</programming-language>
    <os>Linux</os>
    <category rdf:resource='https://linkmauve.fr/ns/xmpp-doap#category-server'/>

`)
	for _, d := range documents {
		if number, ok := strings.CutPrefix(d.name, "RFC "); ok && (d.state == complete || d.state == partial) {
			fmt.Fprintf(&b, "    <implements rdf:resource='https://www.rfc-editor.org/info/rfc%s'/>\n", number)
		}
	}
	for _, d := range documents {
		if !strings.HasPrefix(d.name, "XEP-") || d.state == cited {
			continue
		}
		fmt.Fprintf(&b, "\n    <implements>\n      <xmpp:SupportedXep>\n        <xmpp:xep rdf:resource='%s'/>\n        <xmpp:status>%s</xmpp:status>\n", d.url(), d.state)
		if d.state != planned {
			fmt.Fprintf(&b, "        <xmpp:version>%s</xmpp:version>\n        <xmpp:since>%s</xmpp:since>\n", d.version, d.since)
		}
		if d.note != "" {
			fmt.Fprintf(&b, "        <xmpp:note xml:lang='en'>%s</xmpp:note>\n", html.EscapeString(strings.ReplaceAll(d.note, "`", "")))
		}
		b.WriteString("      </xmpp:SupportedXep>\n    </implements>\n")
	}
	b.WriteString("  </Project>\n</rdf:RDF>\n")
	return b.String()
}
