package lake

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
)

// An action is one line of a commit; one of its fields is set (Delta protocol,
// "Actions").
type action struct {
	CommitInfo *commitInfo `json:"commitInfo,omitempty"`
	Protocol   *protocol   `json:"protocol,omitempty"`
	MetaData   *metaData   `json:"metaData,omitempty"`
	Txn        *txn        `json:"txn,omitempty"`
	Add        *add        `json:"add,omitempty"`
	Remove     *remove     `json:"remove,omitempty"`
}

type commitInfo struct {
	Timestamp           int64             `json:"timestamp"` // ms
	Operation           string            `json:"operation"`
	OperationParameters map[string]string `json:"operationParameters"`
	IsBlindAppend       bool              `json:"isBlindAppend"`
	EngineInfo          string            `json:"engineInfo"`
}

type protocol struct {
	MinReaderVersion int32 `json:"minReaderVersion" parquet:"minReaderVersion"`
	MinWriterVersion int32 `json:"minWriterVersion" parquet:"minWriterVersion"`
}

type metaData struct {
	ID               string            `json:"id" parquet:"id,optional"`
	Name             string            `json:"name,omitempty" parquet:"name,optional"`
	Description      string            `json:"description,omitempty" parquet:"description,optional"`
	Format           format            `json:"format" parquet:"format"`
	SchemaString     string            `json:"schemaString" parquet:"schemaString,optional"`
	PartitionColumns []string          `json:"partitionColumns" parquet:"partitionColumns,list"`
	Configuration    map[string]string `json:"configuration" parquet:"configuration"`
	CreatedTime      int64             `json:"createdTime,omitempty" parquet:"createdTime,optional"` // ms
}

type format struct {
	Provider string            `json:"provider" parquet:"provider,optional"`
	Options  map[string]string `json:"options" parquet:"options"`
}

// A txn says how far an application has written: the version is the sequence
// number of its last row.
type txn struct {
	AppID       string `json:"appId" parquet:"appId,optional"`
	Version     int64  `json:"version" parquet:"version"`
	LastUpdated int64  `json:"lastUpdated,omitempty" parquet:"lastUpdated,optional"` // ms
}

type add struct {
	Path             string            `json:"path" parquet:"path,optional"` // URL-encoded
	PartitionValues  map[string]string `json:"partitionValues" parquet:"partitionValues"`
	Size             int64             `json:"size" parquet:"size"`
	ModificationTime int64             `json:"modificationTime" parquet:"modificationTime"` // ms
	DataChange       bool              `json:"dataChange" parquet:"dataChange"`
	Stats            string            `json:"stats,omitempty" parquet:"stats,optional"` // JSON, see stats
	Tags             map[string]string `json:"tags,omitempty" parquet:"tags,optional"`
}

type remove struct {
	Path                 string            `json:"path" parquet:"path,optional"`
	DeletionTimestamp    int64             `json:"deletionTimestamp,omitempty" parquet:"deletionTimestamp,optional"` // ms
	DataChange           bool              `json:"dataChange" parquet:"dataChange"`
	ExtendedFileMetadata bool              `json:"extendedFileMetadata,omitempty" parquet:"extendedFileMetadata,optional"`
	PartitionValues      map[string]string `json:"partitionValues,omitempty" parquet:"partitionValues,optional"`
	Size                 int64             `json:"size,omitempty" parquet:"size,optional"`
}

func encodeActions(actions []action) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for i := range actions {
		if err := e.Encode(&actions[i]); err != nil {
			return nil, fmt.Errorf("encoding a commit: %w", err)
		}
	}
	return b.Bytes(), nil
}

func decodeActions(data []byte) ([]action, error) {
	var all []action
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var a action
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return nil, fmt.Errorf("%w: line %d of a commit: %w", ErrCorrupt, len(all)+1, err)
		}
		all = append(all, a)
	}
	return all, lines.Err()
}
