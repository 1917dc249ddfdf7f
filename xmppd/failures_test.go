package xmppd

import "testing"

// A stranger who fails to sign in without end fills no log: ten events a second, and
// the next one says how many there were besides.
func TestFailedSignInsAreBounded(t *testing.T) {
	var f failures
	told := 0
	for range 1000 {
		if _, ok := f.tell(7); ok {
			told++
		}
	}
	if told != failureEvents {
		t.Errorf("%d events in a second, want %d", told, failureEvents)
	}
	if suppressed, ok := f.tell(8); !ok || suppressed != 1000-failureEvents {
		t.Errorf("tell = %d, %t in the next second, want %d, true", suppressed, ok, 1000-failureEvents)
	}
	if suppressed, ok := f.tell(8); !ok || suppressed != 0 {
		t.Errorf("tell = %d, %t, want 0, true: they were told of", suppressed, ok)
	}
}
