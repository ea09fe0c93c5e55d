package mqtt

import (
	"container/list"
	"sync"

	"github.com/weir-iot/weir/hub"
)

// sessions remembers the subscriptions of clients with CleanSession=0 between
// their connections, in memory and up to a bound: beyond it the one unused for
// longest is forgotten, and its client is told "no session present".
// Cloud-to-device messages wait in the hub's durable queue, not here.
type sessions struct {
	mu    sync.Mutex
	max   int
	byID  map[hub.ID]*list.Element // of *remembered
	order list.List                // most recently used first
}

type remembered struct {
	id   hub.ID
	subs subscriptions
}

func newSessions(max int) *sessions {
	return &sessions{max: max, byID: map[hub.ID]*list.Element{}}
}

// resume returns what is remembered of id, and remembers id from now on.
func (s *sessions) resume(id hub.ID) (subs subscriptions, present bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.byID[id]; ok {
		s.order.MoveToFront(e)
		return e.Value.(*remembered).subs, true
	}
	s.put(id, subscriptions{})
	return subscriptions{}, false
}

// remember replaces what is remembered of id.
func (s *sessions) remember(id hub.ID, subs subscriptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.byID[id]; ok {
		e.Value.(*remembered).subs = subs
		s.order.MoveToFront(e)
		return
	}
	s.put(id, subs)
}

func (s *sessions) put(id hub.ID, subs subscriptions) {
	s.byID[id] = s.order.PushFront(&remembered{id, subs})
	if len(s.byID) > s.max {
		oldest := s.order.Back()
		s.order.Remove(oldest)
		delete(s.byID, oldest.Value.(*remembered).id)
	}
}

func (s *sessions) forget(id hub.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.byID[id]; ok {
		s.order.Remove(e)
		delete(s.byID, id)
	}
}
