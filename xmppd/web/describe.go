package web

import (
	"net/http"
	"reflect"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// description is what the OpenAPI document says besides the routes. No page that shows
// it is served: it would need scripts from elsewhere.
func description(origin string) huma.Config {
	c := huma.DefaultConfig("Parley", "1")
	c.Info.Description = "What programs may ask of an account. Each request is one key's: by HTTP Basic with the key's id and secret, " +
		"by a JWT (HS256) or a signature (PARLEY-HMAC-SHA512) made with a signing key's secret."
	c.OpenAPIPath, c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", "", nil
	if origin != "" {
		c.Servers = []*huma.Server{{URL: origin}}
	}
	c.RejectUnknownQueryParameters = true
	json := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: strictJSON}
	c.Formats = map[string]huma.Format{"application/json": json, "json": json}
	c.Transformers = []huma.Transformer{finished}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"basic": {Type: "http", Scheme: "basic"},
		"jwt":   {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
		"hmac":  {Type: "apiKey", In: "header", Name: "Authorization", Description: "PARLEY-HMAC-SHA512 key=…, ts=…, nonce=…, sig=…"},
	}
	c.Security = []map[string][]string{{"basic": {}}, {"jwt": {}}, {"hmac": {}}}
	return c
}

// finish has the description written down for whoever asks for it first, since that takes longer
// than all else that a command does. All routes are in it.
func (a *API) finish() {
	doc := a.huma.OpenAPI()
	if m := doc.Components.Schemas.Map()["ErrorModel"]; m != nil {
		m.Properties["type"] = &huma.Schema{Type: "string", Format: "uri", Description: "What sort of problem it is: the table is in the manual."}
		m.Properties["hint"] = &huma.Schema{Type: "string", Description: "What to do about it."}
		others := doc.Components.Schemas.Schema(reflect.TypeFor[[]Fault](), true, "")
		others.Description = "What else is wrong with what was sent."
		m.Properties["others"] = others
	}
	describeHeaders(doc)
	written := func(write func() ([]byte, error)) func() []byte {
		return sync.OnceValue(func() []byte {
			text, err := write()
			if err != nil {
				panic(err) // it is made of what is compiled in
			}
			return text
		})
	}
	a.json, a.yaml = written(doc.MarshalJSON), written(doc.YAML)
}

// describe answers who asks for the description, which is no secret.
func (a *API) describe(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	switch r.URL.Path {
	case Prefix + "openapi.json":
		w.Header().Set("Content-Type", "application/openapi+json")
		w.Write(a.json()) // an error means that the caller is gone
	case Prefix + "openapi.yaml":
		w.Header().Set("Content-Type", "application/openapi+yaml")
		w.Write(a.yaml())
	default:
		return false
	}
	return true
}

// A route is an operation of the API.
type route struct {
	id, method, path, does string
	created                bool              // answers 201
	checks                 bool              // its handler reads the body by itself
	streams                map[string]string // what it answers with, and what that is, where that isn't JSON
}

// operation is a route as the description has it.
func (r *route) operation(p permission) huma.Operation {
	op := huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, Summary: r.does,
		Description:  "Wants the scope `" + p.scope + "` and at least the role " + p.role.String() + ".",
		MaxBodyBytes: requestMax, BodyReadTimeout: -1, Tags: []string{p.kind()},
		Errors: []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
			http.StatusConflict, http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge,
			http.StatusUnsupportedMediaType, http.StatusTooManyRequests, http.StatusServiceUnavailable},
	}
	op.SkipValidateBody = r.checks
	if r.created {
		op.DefaultStatus = http.StatusCreated
	}
	if r.method == http.MethodPost {
		most := idempotencyMax
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: idempotencyHeader, In: "header", Description: "The same request with the same key is done once; a day long it gets the first one's answer.",
			Schema: &huma.Schema{Type: "string", MaxLength: &most},
		})
	}
	if r.streams != nil {
		content := make(map[string]*huma.MediaType)
		for kind, does := range r.streams {
			content[kind] = &huma.MediaType{Schema: &huma.Schema{Type: "string", Description: does}}
		}
		op.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: content}}
	}
	return op
}
