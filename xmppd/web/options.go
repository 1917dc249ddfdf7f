package web

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley.im/parley/conf"
	"parley.im/parley/store/audit"
)

// DeskOptions are options of the desk, by their names in parley.toml.
type DeskOptions struct{ conf.Options }

// WidgetOptions are those of the widget.
type WidgetOptions struct{ conf.Options }

// Schema describes them. Who reads them is conf: what is wrong is told as it is of a file.
func (DeskOptions) Schema(huma.Registry) *huma.Schema {
	return optionsSchema(slices.DeleteFunc(conf.KindsOf(reflect.TypeFor[conf.Desk]()), func(k conf.Kind) bool { return k.Name == "agent" }), true)
}

// Schema describes them.
func (WidgetOptions) Schema(huma.Registry) *huma.Schema {
	return optionsSchema(conf.KindsOf(reflect.TypeFor[conf.Widget]()), true)
}

// MarshalJSON writes the options alone.
func (o DeskOptions) MarshalJSON() ([]byte, error) { return json.Marshal(o.Options) }

// MarshalJSON writes the options alone.
func (o WidgetOptions) MarshalJSON() ([]byte, error) { return json.Marshal(o.Options) }

// optionsSchema is that of a table.
func optionsSchema(kinds []conf.Kind, nullable bool) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeObject, Properties: make(map[string]*huma.Schema), AdditionalProperties: false}
	for _, k := range kinds {
		is := optionSchema(k)
		is.Nullable = nullable && k.Table == nil && is.Type != huma.TypeArray
		if nullable && !is.Nullable {
			is = &huma.Schema{OneOf: []*huma.Schema{is, {Type: "null"}}}
		}
		s.Properties[k.Name] = is
	}
	return s
}

func optionSchema(k conf.Kind) *huma.Schema {
	switch {
	case k.Table != nil:
		table := optionsSchema(k.Table, false)
		table.Required = []string{"name"}
		return &huma.Schema{Type: huma.TypeArray, Items: table}
	case k.Type == reflect.TypeFor[time.Duration]():
		return &huma.Schema{Type: huma.TypeString, Description: "A duration such as 30s; at least " + cmp.Or(k.Min, "0s") + "."}
	case k.Type.Kind() == reflect.Bool:
		return &huma.Schema{Type: huma.TypeBoolean}
	case k.Type.Kind() == reflect.Int:
		least, _ := strconv.ParseFloat(cmp.Or(k.Min, "0"), 64)
		return &huma.Schema{Type: huma.TypeInteger, Minimum: &least}
	case k.Type.Kind() == reflect.Slice:
		return &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}
	}
	s := &huma.Schema{Type: huma.TypeString}
	for _, c := range k.Choices {
		s.Enum = append(s.Enum, c)
	}
	return s
}

// A DeskInfo is how contacts are dealt with.
type DeskInfo struct {
	Options DeskOptions `json:"options" doc:"What holds."`
	Own     DeskOptions `json:"own" doc:"What of that was set here; all else is as the operator has it."`
}

// A WidgetInfo is what visitors see.
type WidgetInfo struct {
	Options WidgetOptions `json:"options" doc:"What holds."`
	Own     WidgetOptions `json:"own" doc:"What of that was set here; all else is as the operator has it."`
}

func (a *API) optionRoutes() {
	optionRoute(a, "desk", "how contacts are dealt with",
		func(is, own conf.Options) DeskInfo { return DeskInfo{DeskOptions{is}, DeskOptions{own}} }, func(o DeskOptions) conf.Options { return o.Options })
	optionRoute(a, "widget", "what visitors see",
		func(is, own conf.Options) WidgetInfo { return WidgetInfo{WidgetOptions{is}, WidgetOptions{own}} }, func(o WidgetOptions) conf.Options { return o.Options })
}

// optionRoute lets a table be shown and changed.
func optionRoute[O, I any](a *API, table, what string, info func(is, own conf.Options) I, options func(O) conf.Options) {
	get := func(ctx context.Context, c *caller, _ *struct{}) (*tagged[I], error) {
		is, own, err := a.inst.Options(ctx, c.ID, table)
		if err != nil {
			return nil, err
		}
		i := info(is, own)
		tag, err := c.tagOf(ctx, i)
		return &tagged[I]{tag, i}, err
	}
	handle(a, route{id: "get-" + table, method: http.MethodGet, path: Prefix + table, does: "Show " + what}, get)
	handle(a, route{id: "change-" + table, method: http.MethodPatch, path: Prefix + table, does: "Change " + what + "; null is as the operator has it", checks: true},
		func(ctx context.Context, c *caller, in *struct {
			IfMatch
			Body O
		}) (*tagged[I], error) {
			a.settings.Lock()
			defer a.settings.Unlock()
			before, err := get(ctx, c, nil)
			if err == nil {
				err = in.matches(before.ETag)
			}
			if err != nil {
				return nil, err
			}
			change := options(in.Body)
			for name, value := range change {
				text, err := json.Marshal(value)
				if err == nil && len(text) <= toldMax {
					audit.Tell(ctx, name, string(text))
				} else {
					audit.Tell(ctx, name, "…")
				}
			}
			if err := a.inst.SetOptions(ctx, c.ID, table, change); err != nil {
				return nil, err
			}
			return get(ctx, c, nil)
		})
}

// toldMax is how much of an option's value the audit log is told, in bytes.
const toldMax = 200

// Skills are what is set for an agent.
type Skills struct {
	Tags  []string `json:"tags,omitempty" doc:"What she knows: contacts may want that."`
	Limit int      `json:"limit,omitempty" doc:"Contacts that she has at a time; missing is as others have."`
	Shown string   `json:"shown,omitempty" doc:"What visitors read in place of her name."`
}

// SkillsSet are those that were set here; what is nil is as the operator has it.
type SkillsSet struct {
	Tags  *[]string `json:"tags,omitempty"`
	Limit *int      `json:"limit,omitempty"`
	Shown *string   `json:"shown,omitempty"`
}

// Over puts them over what the file says.
func (s SkillsSet) Over(file *conf.Skilled) {
	if s.Tags != nil {
		file.Tags = *s.Tags
	}
	if s.Limit != nil {
		file.Limit = *s.Limit
	}
	if s.Shown != nil {
		file.Shown = *s.Shown
	}
}

// A SkillsChange is what of them is to be otherwise; null is as the operator has it.
type SkillsChange struct {
	Tags  given[[]string] `json:"tags,omitempty,omitzero" doc:"What she knows: contacts may want that. Null is what the operator says."`
	Limit given[int]      `json:"limit,omitempty,omitzero" minimum:"0" doc:"Contacts that she has at a time, 0 as others have. Null is what the operator says."`
	Shown given[string]   `json:"shown,omitempty,omitzero" doc:"What visitors read in place of her name. Null is what the operator says."`
}

// On is what is set after the change.
func (c *SkillsChange) On(s SkillsSet) SkillsSet {
	c.Tags.on(&s.Tags)
	c.Limit.on(&s.Limit)
	c.Shown.on(&s.Shown)
	return s
}

// none says that nothing is to be otherwise.
func (c *SkillsChange) none() bool { return !c.Tags.is && !c.Limit.is && !c.Shown.is }

// tell has the audit log know of it.
func (c *SkillsChange) tell(ctx context.Context) {
	if c.Tags.is {
		audit.Tell(ctx, "tags", c.Tags.text(func(t []string) string { return strings.Join(t, " ") }))
	}
	if c.Limit.is {
		audit.Tell(ctx, "limit", c.Limit.text(strconv.Itoa))
	}
	if c.Shown.is {
		audit.Tell(ctx, "shown", c.Shown.text(func(s string) string { return s }))
	}
}

// given is a value that a request may leave out, or say null in place of.
type given[T any] struct {
	is    bool // it is not left out
	value *T   // nil is null
}

func (g *given[T]) UnmarshalJSON(text []byte) error {
	g.is = true
	return json.Unmarshal(text, &g.value)
}

// Schema is that of the value, or of null.
func (given[T]) Schema(r huma.Registry) *huma.Schema {
	s := *huma.SchemaFromType(r, reflect.TypeFor[T]())
	s.Nullable = true
	return &s
}

func (g *given[T]) on(to **T) {
	if g.is {
		*to = g.value
	}
}

func (g *given[T]) text(text func(T) string) string {
	if g.value == nil {
		return "null"
	}
	return text(*g.value)
}
