package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/weir-iot/weir/node"
)

// An apiClient talks to the API of the weir that runs on the data folder.
type apiClient struct {
	base, token string
	http        *http.Client
}

// api returns a client; what names the command for errors.
func (g *globals) api(what string) (*apiClient, error) {
	if g.serviceConnection() != "" {
		return nil, fmt.Errorf("%s reads the API of a weir on this machine: leave out --connection-string", what)
	}
	dir, err := g.dataDir()
	if err != nil {
		return nil, err
	}
	s, err := node.ReadState(dir)
	if err != nil {
		return nil, err
	}
	if s.API == "" {
		return nil, fmt.Errorf("%s reads the API, which this weir does not serve: add api to roles in its configuration", what)
	}
	return &apiClient{base: s.API, token: s.APIToken, http: new(http.Client)}, nil
}

// callTime bounds a call that is no stream; a job's replay over a week of state
// is what takes longest.
const callTime = 5 * time.Minute

// call sends a request and decodes the answer into out (nil: drops it).
func (a *apiClient) call(ctx context.Context, method, path string, body, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	answer, err := a.open(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxResponse))
	if err != nil {
		return a.unreachable(err)
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("the API's answer to %s %s is not understood: %w", method, path, err)
	}
	return nil
}

// open sends a request and returns the answer, whose body may be endless. An
// answer that is no success is an error.
func (a *apiClient) open(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, reader)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	if reader != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	answer, err := a.http.Do(request)
	if err != nil {
		return nil, a.unreachable(err)
	}
	if answer.StatusCode < 300 {
		return answer, nil
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10)) // what there is
	r := &apiRefusal{Status: answer.StatusCode}
	if json.Unmarshal(text, r) != nil || r.Detail == "" {
		r.Detail = strings.TrimSpace(string(text))
	}
	return nil, r
}

func (a *apiClient) unreachable(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w: is weir running? start it with: weir dev", err)
	}
	return err
}

// An apiRefusal is an answer that is no success: problem details.
type apiRefusal struct {
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Mistakes are those of a query that does not compile.
	Mistakes []struct {
		Line, Column  int
		Message, Hint string
	} `json:"mistakes"`
}

func (r *apiRefusal) Error() string {
	if r.Status < 500 {
		return r.Detail
	}
	return fmt.Sprintf("the API answered %d: %s", r.Status, r.Detail)
}

// atFile puts the places of a query's mistakes in front, as compilers do.
func atFile(file string, err error) error {
	var r *apiRefusal
	if !errors.As(err, &r) || len(r.Mistakes) == 0 {
		return err
	}
	var lines []string
	for _, m := range r.Mistakes {
		line := fmt.Sprintf("%s:%d:%d: %s", file, m.Line, m.Column, m.Message)
		if m.Hint != "" {
			line += ": " + m.Hint
		}
		lines = append(lines, line)
	}
	return errors.New(strings.Join(lines, "\n"))
}
