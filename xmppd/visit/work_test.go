package visit_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// An account that asks for work opens no contact to who has not done it: for that id, and lately.
func TestWork(t *testing.T) {
	var later atomic.Int64 // how much, in nanoseconds
	const bits = 8
	s := newShop(t, func(s *shop) {
		s.look.Work = bits
		s.now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	done := func(id string) J {
		t.Helper()
		var config struct {
			Work struct {
				Challenge string
				Bits      int
			}
		}
		if err := json.Unmarshal([]byte(s.do("GET", "config", nil).Body), &config); err != nil || config.Work.Bits != bits {
			t.Fatalf("%+v, %v", config, err)
		}
		for n := 0; ; n++ {
			hash := sha256.Sum256(fmt.Appendf(nil, "%s:%s:%d", config.Work.Challenge, id, n))
			if new(big.Int).SetBytes(hash[:]).BitLen() <= 256-bits {
				return J{"challenge": config.Work.Challenge, "nonce": fmt.Sprint(n)}
			}
		}
	}
	first, second := newID(), newID()
	good, early := done(first), done(second)
	other := J{"challenge": "x" + good["challenge"].(string)[1:], "nonce": good["nonce"]}
	for _, c := range []struct {
		name   string
		id     string
		work   any
		status int
	}{
		{"no work", first, nil, http.StatusForbidden},
		{"another one's challenge", first, other, http.StatusForbidden},
		{"work for another id", second, good, http.StatusForbidden},
		{"the work", first, good, http.StatusCreated},
		{"the same wish again", first, nil, http.StatusCreated},
	} {
		is := s.do("POST", "contacts", J{"id": c.id, "text": "Hello", "work": c.work})
		if is.Status != c.status || c.status == http.StatusForbidden && is.Code != "work" {
			t.Errorf("%s: %d %s", c.name, is.Status, is.Body)
		}
	}
	later.Store(int64(10 * time.Minute))
	if is := s.do("POST", "contacts", J{"id": second, "text": "Hello", "work": early}); is.Status != http.StatusForbidden {
		t.Errorf("work of ten minutes ago: %d %s", is.Status, is.Body)
	}
}
