package main

import (
	"context"
	"crypto/tls"

	"parley.im/parley/conf"
)

func checkDNS(ctx context.Context, c *call, f *conf.File, certs []tls.Certificate) error { return nil }
