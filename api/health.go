package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Health is the state of a node, as its wiring sees it.
type Health struct {
	Problems  []string         `json:"problems" nullable:"false" doc:"What is wrong, in words for the operator; empty: all is well"`
	Starting  bool             `json:"starting,omitempty" doc:"The node does not take work yet"`
	Log       LogHealth        `json:"log"`
	Consumers []ConsumerHealth `json:"consumers" nullable:"false"`
	Store     StoreHealth      `json:"store"`
	Devices   DeviceHealth     `json:"devices"`
}

// LogHealth is the state of the event log.
type LogHealth struct {
	Engine     string `json:"engine" example:"disk"`
	Durability string `json:"durability" enum:"sync,interval,memory" doc:"When a message is acknowledged: sync: after it is on disk; interval: up to the interval is lost with the power; memory: nothing survives"`
	Partitions int    `json:"partitions"`
	Stats      any    `json:"stats,omitempty" doc:"Figures of the engine"`
}

// ConsumerHealth is how far a consumer of the log has come.
type ConsumerHealth struct {
	Name string `json:"name" example:"hot"`
	Lag  int64  `json:"lag" doc:"Messages in the log that it has not applied"`
}

// StoreHealth is the state of the hot store.
type StoreHealth struct {
	Engine string `json:"engine" example:"pebble"`
	Stats  any    `json:"stats,omitempty" doc:"Figures of the engine"`
}

// DeviceHealth counts the registry.
type DeviceHealth struct {
	Total     int `json:"total"`
	Connected int `json:"connected"`
}

// healthAnswer is Health with the verdict first. Details is absent for who has no token.
type healthAnswer struct {
	Status     string  `json:"status" enum:"ok,starting,failing"`
	Version    string  `json:"version,omitempty"`
	Durability string  `json:"durability,omitempty" doc:"Of the log"`
	Details    *Health `json:"details,omitempty"`
}

type healthOutput struct {
	Status int
	Body   healthAnswer
}

type healthInput struct{ known bool }

// Resolve notes whether the client may see details: the path is open to all.
func (in *healthInput) Resolve(ctx huma.Context) []error {
	in.known = ctx.Context().Value(authenticated{}) != nil
	return nil
}

func (s *server) registerHealth() {
	anyone := []map[string][]string{{}}
	huma.Register(s.huma, huma.Operation{
		OperationID: "healthz", Method: http.MethodGet, Path: "/healthz", Security: anyone,
		Summary: "Whether the node works", Tags: []string{"node"},
		Description: "503 when something is wrong. Without the token, where one is set, details are left out.",
		Responses:   map[string]*huma.Response{"503": {Description: "Something is wrong; the body is that of 200"}},
	}, func(ctx context.Context, in *healthInput) (*healthOutput, error) {
		h := s.health(ctx)
		out := &healthOutput{Status: http.StatusOK, Body: healthAnswer{Status: "ok", Durability: h.Log.Durability}}
		switch {
		case len(h.Problems) > 0:
			out.Status, out.Body.Status = http.StatusServiceUnavailable, "failing"
		case h.Starting:
			out.Body.Status = "starting"
		}
		if in.known {
			out.Body.Version, out.Body.Details = s.Version, &h
		}
		return out, nil
	})
	huma.Register(s.huma, huma.Operation{
		OperationID: "readyz", Method: http.MethodGet, Path: "/readyz", Security: anyone,
		Summary: "Whether the node takes work", Tags: []string{"node"},
		Responses: map[string]*huma.Response{"503": {Description: "It is starting, or something is wrong; the body is that of 200"}},
	}, func(ctx context.Context, _ *struct{}) (*readyOutput, error) {
		h := s.health(ctx)
		out := &readyOutput{Status: http.StatusOK, Body: readyAnswer{Ready: !h.Starting && len(h.Problems) == 0}}
		if !out.Body.Ready {
			out.Status = http.StatusServiceUnavailable
		}
		return out, nil
	})
}

type readyAnswer struct {
	Ready bool `json:"ready"`
}

type readyOutput struct {
	Status int
	Body   readyAnswer
}

// health asks the node; absent lists are empty ones, which clients need not test for.
func (s *server) health(ctx context.Context) Health {
	var h Health
	if s.Health != nil {
		h = s.Health(ctx)
	}
	if h.Problems == nil {
		h.Problems = []string{}
	}
	if h.Consumers == nil {
		h.Consumers = []ConsumerHealth{}
	}
	return h
}
