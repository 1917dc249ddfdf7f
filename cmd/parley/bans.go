package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"parley.im/parley/store"
	"parley.im/parley/store/audit"
	"parley.im/parley/xmppd/contact"
	"parley.im/parley/xmppd/web"
)

func banCommands() []command {
	usual := []option{configOption, setOption, oneAccount}
	return []command{
		{
			name: "visitor ban", args: "WHO TIME",
			does:    "Keeps a visitor from writing for 1h, 1d, 1w, 1mo or any such time of a year at most.",
			more:    "WHO is a contact's id, a visitor's, or an IP address. With a contact its visitor is banned, and the addresses that it was opened and is open at, as far as the running server knows them.",
			options: append(usual, jsonOption), run: visitorBan,
		},
		{
			name: "visitor bans", does: "Lists bans: until when, of what kind, for which contact. Of whom they are cannot be read from them.",
			options: append(usual, jsonOption), run: visitorBans,
		},
		{
			name: "visitor unban", args: "BAN", does: "Ends a ban, by its id in the list.", options: usual, run: visitorUnban,
		},
	}
}

// withBans runs do with where an account's bans are.
func (c *call) withBans(ctx context.Context, do func(cl *client, path string) error) error {
	return c.withClient(ctx, func(cl *client) error {
		id, err := c.account(ctx, cl)
		if err != nil {
			return err
		}
		return do(cl, accountPath(id)+"/bans")
	})
}

func visitorBan(ctx context.Context, c *call) error {
	who, wish := c.arg(0), web.BanWish{For: c.arg(1)}
	switch _, err := netip.ParseAddr(who); {
	case err == nil:
		wish.Address = who
	case contact.IsVisitor(who):
		wish.Visitor = who
	case contact.IsAddress(who):
		wish.Contact = who
	default:
		return c.usage("%q is neither a contact's id, nor a visitor's, nor an IP address", who)
	}
	return c.withBans(ctx, func(cl *client, path string) error {
		var list web.List[web.BanInfo]
		if err := cl.do(ctx, "POST", path, wish, &list); err != nil {
			return err
		}
		return c.printBans(list.Items)
	})
}

func visitorBans(ctx context.Context, c *call) error {
	return c.withBans(ctx, func(cl *client, path string) error {
		list, err := items[web.BanInfo](ctx, cl, path)
		if err != nil {
			return err
		}
		return c.printBans(list)
	})
}

func (c *call) printBans(list []web.BanInfo) error {
	if c.on("json") {
		return c.printJSON(list)
	}
	return c.table(func(w io.Writer) {
		for _, b := range list {
			fmt.Fprintf(w, "%s\t%s\tuntil %s\t%s\t%s\n", b.ID, b.Kind, b.Until.UTC().Format(time.DateTime), b.Contact, line(b.Agent))
		}
	})
}

func visitorUnban(ctx context.Context, c *call) error {
	return c.withBans(ctx, func(cl *client, path string) error {
		return cl.do(ctx, "DELETE", path+"/"+url.PathEscape(c.arg(0)), nil, nil)
	})
}

// VisitorsWhence is where a contact's visitor writes from, as far as that is known.
func (s *server) VisitorsWhence(account string, id store.ConversationID) []netip.Prefix {
	return s.visit.Whence(account, id)
}

// agentBans is how an account's agents ban visitors: with a record, as everybody does.
func (s *server) agentBans(a *account) func(context.Context, store.AgentID, netip.Addr, string, time.Duration) error {
	if a.bans == nil {
		return nil
	}
	return func(ctx context.Context, agent store.AgentID, from netip.Addr, address string, d time.Duration) error {
		r := audit.Record{Action: "ban.create", Object: "contact/" + address, Detail: map[string]string{"for": strings.TrimSuffix(d.String(), "0m0s")}}
		return s.inst.audited(audit.Called(ctx, agentCaller(agent, from)), a.id, r, func(ctx context.Context) error {
			_, err := a.bans.AddContact(ctx, address, []contact.BanKind{contact.BanVisitor, contact.BanAddress},
				func(id store.ConversationID) []netip.Prefix { return s.visit.Whence(a.id, id) },
				contact.BanWish{For: d, Agent: agent, By: s.xmpp.Contacts(a.id).NameOf(agent)})
			return err
		})
	}
}
