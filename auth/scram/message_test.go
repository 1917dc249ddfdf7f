package scram

import (
	"crypto/pbkdf2"
	"errors"
	"strings"
	"testing"
)

func clientKey(t testing.TB, h Hash, password string) []byte {
	t.Helper()
	salted, err := pbkdf2.Key(h.New, password, salt, iterations, h.Size())
	if err != nil {
		t.Fatal(err)
	}
	return mac(h, salted, []byte("Client Key"))
}

func TestParseFirst(t *testing.T) {
	const r = ",r=" + clientNonce
	tests := []struct {
		name string
		in   string
		user string
		as   string
	}{
		{"plain", "n,,n=anna" + r, "anna", ""},
		{"authzid", "n,a=anna@desk.example,n=anna" + r, "anna", "anna@desk.example"},
		{"escapes", "n,a==2C=3D=2C,n=a=2Cb=3Dc" + r, "a,b=c", ",=,"},
		{"bound", "p=tls-exporter,,n=anna" + r, "anna", ""},
		{"unknown extension", "n,,n=anna" + r + ",x=1,y=a=b", "anna", ""},
		{"not ASCII", "n,,n=анна" + r, "анна", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, err := parseFirst([]byte(test.in))
			if err != nil || m.name != test.user || m.authzid != test.as || m.gs2+m.bare != test.in {
				t.Errorf("parseFirst(%q) = %+v, %v, want %q, %q", test.in, m, err, test.user, test.as)
			}
		})
	}
}

func TestFirstIsMalformed(t *testing.T) {
	const r = ",r=" + clientNonce
	tests := map[string]string{
		"empty":               "",
		"no header":           "n=anna" + r,
		"half a header":       "n,n=anna" + r,
		"unknown flag":        "x,,n=anna" + r,
		"two flags":           "ny,,n=anna" + r,
		"binding unnamed":     "p=,,n=anna" + r,
		"binding misnamed":    "p=tls_exporter,,n=anna" + r,
		"authzid unmarked":    "n,anna,n=anna" + r,
		"authzid empty":       "n,a=,n=anna" + r,
		"mandatory extension": "n,,m=x,n=anna" + r,
		"no name":             "n,," + r[1:],
		"empty name":          "n,,n=" + r,
		"bad escape":          "n,,n=an=20na" + r,
		"lower-case escape":   "n,,n=an=2cna" + r,
		"half an escape":      "n,,n=anna=2" + r,
		"no nonce":            "n,,n=anna",
		"empty nonce":         "n,,n=anna,r=",
		"short nonce":         "n,,n=anna,r=1234567",
		"long nonce":          "n,,n=anna,r=" + strings.Repeat("x", maxNonce+1),
		"space in nonce":      "n,,n=anna,r=1234 5678",
		"not ASCII in nonce":  "n,,n=anna,r=12345678é",
		"nonce before name":   "n,,r=" + clientNonce + ",n=anna",
		"name twice":          "n,,n=anna" + r + ",n=boris",
		"mandatory later":     "n,,n=anna" + r + ",m=x",
		"empty extension":     "n,,n=anna" + r + ",",
		"odd extension":       "n,,n=anna" + r + ",1=x",
		"NUL":                 "n,,n=an\x00na" + r,
		"not UTF-8":           "n,,n=an\xffna" + r,
		"too long":            "n,,n=" + strings.Repeat("a", maxMessage) + r,
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, "SCRAM-SHA-256", channel, offered)
			if _, _, err := s.First([]byte(in)); !errors.Is(err, ErrMalformed) {
				t.Errorf("First(%.80q) = %v, want %v", in, err, ErrMalformed)
			}
		})
	}
}

func TestFinalIsMalformed(t *testing.T) {
	const (
		nonce = "r=" + clientNonce + serverNonce
		p     = ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	)
	tests := map[string]string{
		"empty":             "",
		"no proof":          "c=biws," + nonce,
		"proof first":       "p=dHzb,c=biws," + nonce,
		"proof empty":       "c=biws," + nonce + ",p=",
		"proof not base64":  "c=biws," + nonce + ",p=!!!!",
		"proof short":       "c=biws," + nonce + ",p=dHzbZapW",
		"proof broken off":  "c=biws," + nonce + strings.TrimSuffix(p, "="),
		"proof with break":  "c=biws," + nonce + p[:20] + "\n" + p[20:],
		"proof not alone":   "c=biws," + nonce + p + ",x=1",
		"no binding":        nonce + p,
		"binding empty":     "c=," + nonce + p,
		"binding with tail": "c=biws====," + nonce + p,
		"bits beyond":       "c=biwsLB==," + nonce + p,
		"no nonce":          "c=biws" + p,
		"nonce twice":       "c=biws," + nonce + "," + nonce + p,
		"mandatory":         "c=biws," + nonce + ",m=1" + p,
		"NUL":               "c=biws," + nonce + ",x=\x00" + p,
		"too long":          "c=biws," + nonce + ",x=" + strings.Repeat("x", maxMessage) + p,
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, "SCRAM-SHA-256", channel, offered)
			start(t, s, "n,,n=anna,r="+clientNonce)
			if _, _, err := s.Final([]byte(in), make([]Keys, 16)); !errors.Is(err, ErrMalformed) {
				t.Errorf("Final(%.80q) = %v, want %v", in, err, ErrMalformed)
			}
		})
	}
}

func FuzzFirst(f *testing.F) {
	f.Add([]byte("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"))
	f.Add([]byte("p=tls-exporter,a=anna=2Cb,n=anna=3D,r=fyko+d2lbbFgONRv9qkxdawL,x=1"))
	f.Add([]byte("y,,m=1,n=user,r=12345678"))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := parseFirst(in)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("parseFirst(%q) = %v", in, err)
			}
			return
		}
		if m.gs2+m.bare != string(in) || m.name == "" || len(m.nonce) < minNonce {
			t.Errorf("parseFirst(%q) = %+v", in, m)
		}
		escape := strings.NewReplacer("=", "=3D", ",", "=2C")
		if !strings.HasPrefix(m.bare, "n="+escape.Replace(m.name)+",r="+m.nonce) {
			t.Errorf("parseFirst(%q) = %+v: does not come back", in, m)
		}
	})
}

func FuzzFinal(f *testing.F) {
	c := client{hash: SHA256, password: "pencil", gs2: "n,,", name: "anna"}
	challenge := start(f, newServer(f, "SCRAM-SHA-256", channel, offered), c.first())
	right := c.final(f, challenge, nil)
	f.Add([]byte(right))
	f.Add([]byte(strings.Replace(right, ",p=", ",x=1,p=", 1)))
	f.Add([]byte("c=biws,r=x,p=eA=="))
	keys := append([]Keys{derive(f, SHA256, "pencil")}, make([]Keys, 15)...)
	f.Fuzz(func(t *testing.T, in []byte) {
		s := newServer(t, "SCRAM-SHA-256", channel, offered)
		start(t, s, c.first())
		index, reply, err := s.Final(in, keys)
		switch {
		case err == nil && (string(in) != right || index != 0):
			t.Errorf("Final(%q) = %d, %q", in, index, reply)
		case err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrDenied):
			t.Errorf("Final(%q) = %v", in, err)
		}
	})
}
