package hub

import (
	"context"
	"time"
)

// A FeedbackRecord says what became of a cloud-to-device message. Its JSON form
// is that of application/vnd.microsoft.iothub.feedback.json.
type FeedbackRecord struct {
	OriginalMessageID  string    `json:"originalMessageId"`
	EnqueuedTimeUTC    time.Time `json:"enqueuedTimeUtc"` // of the record
	StatusCode         string    `json:"statusCode"`      // Success, Expired, DeliveryCountExceeded, Rejected or Purged
	Description        string    `json:"description"`
	DeviceID           string    `json:"deviceId"`
	DeviceGenerationID string    `json:"deviceGenerationId"`
}

// A FeedbackBatch is up to 64 records, locked for 60 s by LockToken. The body
// that services expect is Records as JSON.
type FeedbackBatch struct {
	LockToken string
	Enqueued  time.Time // of the oldest record
	Records   []FeedbackRecord
}

// Feedback locks and returns the next batch of feedback records, nil if there
// is none; SettleFeedback removes it (complete) or returns it.
func (h *Hub) Feedback(ctx context.Context) (*FeedbackBatch, error) { return nil, ErrUnavailable }

// SettleFeedback: see Feedback.
func (h *Hub) SettleFeedback(ctx context.Context, lockToken string, complete bool) error {
	return ErrUnavailable
}
