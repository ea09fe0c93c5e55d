package mem_test

import (
	"testing"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mem"
	"github.com/weir-iot/weir/hub/registrytest"
)

func TestContract(t *testing.T) {
	registrytest.Run(t, func(*testing.T) hub.Registry { return mem.New() })
}
