//go:build !linux

package disk

func (f osFile) Allocate(size int64) error { return f.zeroFill(size) }
func (f osFile) Sync() error               { return f.File.Sync() }
