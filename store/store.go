// Package store is the hot path: documents by device and time, with a time to
// live. It is the contract that every engine keeps; an engine passes the suite
// store/storetest. It leaves out queries over the content of documents.
package store

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// MaxDocument bounds the encoded size of a document: 2 MB, the limit of Cosmos DB.
const MaxDocument = 2 << 20

var (
	// ErrTooLarge refuses a document beyond MaxDocument.
	ErrTooLarge = errors.New("store: document is larger than 2 MB")
	// ErrInvalid refuses a document without id or device, or with data that is not JSON.
	ErrInvalid = errors.New("store: invalid document")
	// ErrClosed refuses calls after Close.
	ErrClosed = errors.New("store: closed")
)

// A Document is one row of a device's recent telemetry. ID is unique within
// the device: an upsert replaces the document with the same ID, whatever its time.
type Document struct {
	ID       string
	DeviceID string    // the partition key
	Time     time.Time // Cosmos DB's _ts, with the full precision of the log's EnqueuedAt
	Expires  time.Time // the zero time: never
	// Data is the JSON value that the device sent, byte for byte, without the
	// white space around it. The envelope that readers of Cosmos DB know (id,
	// deviceId, partitionKey, data, ttl, _ts) is not stored: AppendJSON makes it
	// when a document is shown, from the other fields.
	Data []byte
	// Generated says that ID is made of the log record's own position, so that
	// no other document can have it at another time: engines skip the look-up.
	Generated bool
}

// A Mark says how far a consumer of the log has been applied to the store:
// Ordinal of Shard and all before it. It is written with the documents, or
// neither is.
type Mark struct {
	Consumer string
	Shard    int
	Ordinal  int64
}

// A Range selects documents of one device with From <= Time < To, newest
// first, at most Limit (0: no limit). A zero To has no upper end. Before, where
// set, continues a read behind the document that the cursor names.
type Range struct {
	DeviceID string
	From, To time.Time
	Limit    int
	Before   Cursor
}

// A Cursor names a document's place in the order newest first; the zero Cursor
// is the beginning.
type Cursor struct {
	Time time.Time
	ID   string
}

// A Store keeps documents. All methods are safe for concurrent use.
type Store interface {
	// Upsert writes documents and marks in one atomic batch. It is visible to
	// reads when it returns, durable after the next Flush or on the engine's own
	// time; after a crash what is lost is a suffix of the batches, marks included.
	// With ctx's error the batch may still be written, whole and before any later
	// one; what docs point to is not used any more.
	Upsert(ctx context.Context, docs []Document, marks ...Mark) error
	// Mark returns the highest ordinal applied, -1 if there is none.
	Mark(ctx context.Context, consumer string, shard int) (int64, error)
	// Read yields documents newest first (ties: larger ID first). Expired documents are
	// never yielded. A document is valid until the next iteration.
	Read(ctx context.Context, r Range) iter.Seq2[Document, error]
	// Flush makes all that was upserted durable.
	Flush(ctx context.Context) error
	io.Closer
}
