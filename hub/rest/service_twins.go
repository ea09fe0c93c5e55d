package rest

import (
	"context"
	"encoding/json"

	"github.com/weir-iot/weir/hub"
)

// getTwin is GET /twins/{id}[/modules/{mid}].
func (c *call) getTwin() error {
	t, err := c.hub.TwinOf(c.Context(), c.id)
	if err != nil {
		return err
	}
	return c.twin(t)
}

func (c *call) twin(t *hub.Twin) error {
	put(c.w.Header(), "ETag", `"`+t.ETag+`"`)
	return c.json(t)
}

// patchTwin is PATCH /twins/…, a merge patch: null removes.
func (c *call) patchTwin() error { return c.writeTwin(c.hub.PatchTwin) }

// replaceTwin is PUT /twins/…: tags and desired properties become what the body has.
func (c *call) replaceTwin() error { return c.writeTwin(c.hub.ReplaceTwin) }

func (c *call) writeTwin(f func(context.Context, hub.ID, []byte, string) (*hub.Twin, error)) error {
	var body json.RawMessage // checks the syntax, with the place of a mistake
	if err := c.decode(maxJSON, &body); err != nil {
		return err
	}
	t, err := f(c.Context(), c.id, body, c.ifMatch())
	if err != nil {
		return err
	}
	return c.twin(t)
}
