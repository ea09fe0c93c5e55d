package stream

// A fifo is first in, first out; it is a ring that grows.
type fifo[T any] struct {
	ring []T // its length is a power of two, or 0
	head int
	n    int
}

func (q *fifo[T]) len() int { return q.n }

// at returns the i-th element from the oldest; it is valid until the next push.
func (q *fifo[T]) at(i int) *T { return &q.ring[(q.head+i)&(len(q.ring)-1)] }

func (q *fifo[T]) push(v T) {
	if q.n == len(q.ring) {
		grown := make([]T, max(4, 2*q.n))
		for i := range q.n {
			grown[i] = *q.at(i)
		}
		q.ring, q.head = grown, 0
	}
	q.n++
	*q.at(q.n - 1) = v
}

// pop forgets the oldest element.
func (q *fifo[T]) pop() {
	var none T
	*q.at(0) = none
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
}
