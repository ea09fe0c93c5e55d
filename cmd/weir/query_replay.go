package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/weir-iot/weir/api"
	"github.com/weir-iot/weir/saql"
)

// replayQuery runs a query over the log of the running weir.
func (g *globals) replayQuery(ctx context.Context, file string, f *queryFlags) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the query: %w", err)
	}
	a, err := g.api("query --replay")
	if err != nil {
		return err
	}
	answer, err := a.open(ctx, http.MethodPost, "/jobs/replay", api.Replay{Query: string(text), Settings: f.JobSettings, From: time.Now().Add(-f.replay).UTC()})
	if err != nil {
		return atFile(file, err)
	}
	defer answer.Body.Close()
	printer := &rowPrinter{g: g}
	lines := bufio.NewReaderSize(answer.Body, 64<<10)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			return errors.Join(fmt.Errorf("the replay broke off: %w", err), printer.flush())
		}
		var line struct {
			api.ReplayRow
			End   *api.ReplayEnd `json:"end"`
			Error string         `json:"error"`
		}
		if err := json.Unmarshal(text, &line); err != nil {
			return fmt.Errorf("a row is not understood: %w", err)
		}
		switch {
		case line.Error != "":
			return errors.Join(errors.New(line.Error), printer.flush())
		case line.End != nil:
			if err := printer.flush(); err != nil {
				return err
			}
			return g.sayEnd(line.End)
		}
		if err := printer.row(line.Into, saql.TicksOf(line.Time), line.Row); err != nil {
			return err
		}
	}
}
