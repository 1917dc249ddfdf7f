// Package web is the REST API: what programs may ask of an account over HTTPS, and what
// the operator's commands ask through the server's socket, by the same handlers.
//
// A request is answered only if its route stands in the table of permissions
// (permission.go), its caller is known (authenticate.go) and may (caller.go). Faults are
// problem details (RFC 9457), lists are read by cursors, a POST can be repeated under an
// idempotency key, and GET /v1/openapi.json describes all of it: the description is
// made from the handlers.
package web
