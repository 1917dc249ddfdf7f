package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Whatever a problem may carry is in the description: who reads answers by it refuses the rest.
func TestProblemsAreDescribed(t *testing.T) {
	a := New(Config{Now: time.Now})
	w := httptest.NewRecorder()
	if !a.describe(w, httptest.NewRequest(http.MethodGet, Prefix+"openapi.json", nil)) {
		t.Fatal("there is no description")
	}
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	full, err := json.Marshal(problemOf(&Refusal{Kind: Invalid, Status: 422, Text: "no", Hint: "do", Others: []Fault{{"no", "do"}}}))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(full, &fields); err != nil {
		t.Fatal(err)
	}
	for field := range fields {
		if doc.Components.Schemas["ErrorModel"].Properties[field] == nil {
			t.Errorf("%q of a problem is not described", field)
		}
	}
	if fields["others"] == nil {
		t.Error("a problem does not say its other faults")
	}
}
