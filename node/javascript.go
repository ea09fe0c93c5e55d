package node

import (
	"io"

	"github.com/weir-iot/weir/stream/udf"
)

// JavaScript is the whole work of the child process in which jobs run the
// functions that their users wrote, until in ends.
func JavaScript(in io.Reader, out io.Writer) error { return udf.Main(in, out) }
