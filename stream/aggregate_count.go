package stream

import (
	"encoding/binary"
	"slices"

	"github.com/weir-iot/weir/saql"
)

// count is COUNT(*), without arguments, and COUNT(x).
type count struct{ n int64 }

func (a *count) add(args []saql.Value) error {
	if len(args) == 0 || !args[0].IsNull() {
		a.n++
	}
	return nil
}

func (a *count) merge(later aggregate) error {
	a.n += later.(*count).n
	return nil
}

func (a *count) result() (saql.Value, error) { return saql.Bigint(a.n), nil }
func (a *count) reset()                      { a.n = 0 }
func (a *count) snapshot(b []byte) []byte    { return binary.AppendVarint(b, a.n) }

func (a *count) restore(b []byte) ([]byte, error) {
	n, width := binary.Varint(b)
	if width <= 0 {
		return nil, errState
	}
	a.n = n
	return b[width:], nil
}

// countDistinct is COUNT(DISTINCT x): values of different types are different.
type countDistinct struct {
	seen map[string]struct{}
	key  []byte
}

func (a *countDistinct) add(args []saql.Value) error {
	if args[0].IsNull() {
		return nil
	}
	a.key = saql.AppendKey(a.key[:0], args[0])
	if _, ok := a.seen[string(a.key)]; !ok {
		a.put(string(a.key))
	}
	return nil
}

func (a *countDistinct) put(key string) {
	if a.seen == nil {
		a.seen = make(map[string]struct{})
	}
	a.seen[key] = struct{}{}
}

func (a *countDistinct) merge(later aggregate) error {
	for key := range later.(*countDistinct).seen {
		a.put(key)
	}
	return nil
}

func (a *countDistinct) result() (saql.Value, error) { return saql.Bigint(int64(len(a.seen))), nil }
func (a *countDistinct) reset()                      { clear(a.seen) }

func (a *countDistinct) snapshot(b []byte) []byte {
	keys := make([]string, 0, len(a.seen))
	for key := range a.seen {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	b = binary.AppendUvarint(b, uint64(len(keys)))
	for _, key := range keys {
		b = appendText(b, key)
	}
	return b
}

func (a *countDistinct) restore(b []byte) ([]byte, error) {
	a.reset()
	r := reader{b: b}
	for range r.count() {
		a.put(r.text())
	}
	return r.b, r.err
}
