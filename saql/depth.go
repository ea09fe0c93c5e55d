package saql

import "fmt"

// MaxDepth is how deep records and arrays may be nested in what is read.
const MaxDepth = 512

var errDepth = fmt.Errorf("nested deeper than %d", MaxDepth)
