package main

import (
	"context"
	"net/http"
	"time"

	"parley.im/parley/store/backup"
)

// A backupInfo is a place for copies in a list.
type backupInfo struct {
	Target  string     `json:"target"`
	Of      string     `json:"of"`
	Copies  int        `json:"copies"`
	Oldest  *time.Time `json:"oldest,omitempty"`
	Newest  *time.Time `json:"newest,omitempty"`
	Names   []string   `json:"names,omitempty"`
	Failure string     `json:"error,omitempty"` // why there is no new copy, or why it is not known
}

// keepBackups registers what is asked about copies.
func (o *operator) keepBackups() {
	o.handle("GET /v1/backups", o.listBackups)
	o.handle("POST /v1/backups", o.makeBackup)
}

// keeper is what makes copies, with its targets: the server's own, or one for this
// command.
func (o *operator) keeper() (*backup.Keeper, *backup.Config, error) {
	c, err := backupConfig(o.inst.config(), o.inst)
	if err != nil {
		return nil, nil, err
	}
	if c == nil {
		return nil, nil, withHint(refuse("no copies are configured"), "see [backup] in 'parley sample'")
	}
	if o.inst.live != nil {
		if o.inst.backups == nil {
			return nil, nil, withHint(refuse("copies are configured since the server runs"), "start it again")
		}
		return o.inst.backups, c, nil
	}
	k, err := backup.New(*c)
	return k, c, err
}

// makeBackup makes a copy and says what it came to in each place.
func (o *operator) makeBackup(r *http.Request) (any, error) {
	var in struct {
		Full bool `json:"full"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	k, c, err := o.keeper()
	if err != nil {
		return nil, err
	}
	ages, err := k.Now(r.Context(), in.Full)
	if err != nil {
		return nil, err
	}
	list := listed(r.Context(), c)
	for i := range list {
		for _, a := range ages {
			if a.Err != nil && a.Target == list[i].Target && string(a.Kind) == list[i].Of {
				list[i].Failure = a.Err.Error()
			}
		}
	}
	return list, nil
}

func (o *operator) listBackups(r *http.Request) (any, error) {
	c, err := backupConfig(o.inst.config(), o.inst)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return []backupInfo{}, nil
	}
	return listed(r.Context(), c), nil
}

// listPatience is how long a place may take to say what it has.
const listPatience = 30 * time.Second

// listed asks each place what it has.
func listed(ctx context.Context, c *backup.Config) []backupInfo {
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	var list []backupInfo
	add := func(of backup.Kind, targets []backup.Target) {
		for _, t := range targets {
			info := backupInfo{Target: t.Name(), Of: string(of)}
			all, err := backup.Copies(ctx, t)
			if err != nil {
				info.Failure = err.Error()
			}
			if info.Copies = len(all); len(all) > 0 {
				info.Oldest, info.Newest = &all[0].Time, &all[len(all)-1].Time
			}
			for _, f := range all {
				info.Names = append(info.Names, f.Name)
			}
			list = append(list, info)
		}
	}
	add(backup.Data, c.DataTargets)
	add(backup.Keys, c.KeysTargets)
	return list
}
