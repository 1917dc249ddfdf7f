package auth

import (
	"slices"
	"testing"
)

// Options that are changed while agents sign in hold for what comes after; who has failed is
// remembered.
func TestConfigure(t *testing.T) {
	o := newOfficeWithAnna(t, Config{})
	before := o.options.Load().Config
	o.fails(t, 3, "anna", home)
	after := before
	after.Lockout.Failures, after.DropSHA1 = 4, true
	o.Configure(after)
	o.fails(t, 1, "anna", home)
	o.want(t, ErrLocked, "anna", home)
	if got := o.Offer(cloud).Mechanisms; slices.Contains(got, "SCRAM-SHA-1") {
		t.Errorf("offered are %v", got)
	}
	after.Lockout.Off = true
	o.Configure(after)
	o.want(t, nil, "anna", home)
	o.Configure(before)
	if got := o.Offer(cloud).Mechanisms; !slices.Contains(got, "SCRAM-SHA-1") {
		t.Errorf("offered are %v", got)
	}
}
