package hub

import (
	"cmp"
	"time"
)

// Limits of the hub. A zero field takes the value in parentheses, IoT Hub's
// own limit unless said otherwise. Sizes are in bytes.
type Limits struct {
	MessageBody    int           // of a device-to-cloud message (256 KB)
	Modules        int           // per device (20)
	Properties     int           // desired and reported properties, each, as compact JSON (32 KB)
	Tags           int           // of a twin, as compact JSON (8 KB)
	Depth          int           // of objects and arrays in a twin (10)
	CloudMessage   int           // body and properties of a cloud-to-device message (64 KB)
	QueueDepth     int           // cloud-to-device messages of a device (50)
	QueueTTL       time.Duration // of a message that names no expiry (1 h)
	QueueMaxTTL    time.Duration // of a message that does (48 h)
	QueueLock      time.Duration // of a pulled message (60 s)
	DeliveryCount  int           // abandons of one message (10)
	FeedbackTTL    time.Duration // of a feedback record (1 h)
	FeedbackDepth  int           // feedback records that wait (100,000: ours; the oldest are dropped beyond it, counted)
	MethodPayload  int           // of a direct method, each way (128 KB)
	MethodsPending int           // unanswered calls of one device (1,000: ours)
}

func (l Limits) withDefaults() Limits {
	return Limits{
		MessageBody:    cmp.Or(l.MessageBody, 256<<10),
		Modules:        cmp.Or(l.Modules, 20),
		Properties:     cmp.Or(l.Properties, 32<<10),
		Tags:           cmp.Or(l.Tags, 8<<10),
		Depth:          cmp.Or(l.Depth, 10),
		CloudMessage:   cmp.Or(l.CloudMessage, 64<<10),
		QueueDepth:     cmp.Or(l.QueueDepth, 50),
		QueueTTL:       cmp.Or(l.QueueTTL, time.Hour),
		QueueMaxTTL:    cmp.Or(l.QueueMaxTTL, 48*time.Hour),
		QueueLock:      cmp.Or(l.QueueLock, time.Minute),
		DeliveryCount:  cmp.Or(l.DeliveryCount, 10),
		FeedbackTTL:    cmp.Or(l.FeedbackTTL, time.Hour),
		FeedbackDepth:  cmp.Or(l.FeedbackDepth, 100_000),
		MethodPayload:  cmp.Or(l.MethodPayload, 128<<10),
		MethodsPending: cmp.Or(l.MethodsPending, 1000),
	}
}
