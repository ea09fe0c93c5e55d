package stream

import (
	"strings"

	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/telemetry"
)

// A metadatum gives one value of what a message carries beside its payload; it
// may use the arena, which then holds the value.
type metadatum func(a *arena, m *telemetry.Message, index int) saql.Value

// A named metadatum is a field of the records EventHub and IoTHub.
type named struct {
	name string
	get  metadatum
}

// implicitRecord is how many of iotHub are fields of the column IoTHub; the
// others GetMetadataPropertyValue alone knows.
const implicitRecord = 5

var iotHub = []named{
	{"MessageId", messageText(func(m *telemetry.Message) string { return m.MessageID })},
	{"CorrelationId", systemProperty(telemetry.CorrelationID)},
	{"ConnectionDeviceId", messageText(func(m *telemetry.Message) string { return m.DeviceID })},
	{"ConnectionDeviceGenerationId", systemProperty(telemetry.GenerationID)},
	{"EnqueuedTime", enqueued},
	{"EnqueueTime", enqueued},
	{"ConnectionModuleId", messageText(func(m *telemetry.Message) string { return m.ModuleID })},
	{"AuthMethod", systemProperty(telemetry.AuthMethod)},
	{"AuthGenerationId", systemProperty(telemetry.GenerationID)},
	{"MessageSource", messageText(func(m *telemetry.Message) string { return m.Source.String() })},
	{"InterfaceName", systemProperty(telemetry.InterfaceID)},
}

var eventHub = []named{
	{"EventEnqueuedUtcTime", enqueued},
	{"EventProcessedUtcTime", enqueued},
	{"PartitionId", partitionID},
	{"Offset", sequence},
	{"SequenceNumber", sequence},
	{"PartitionKey", messageText(func(m *telemetry.Message) string { return m.DeviceID })},
	{"IoTConnectionDeviceId", messageText(func(m *telemetry.Message) string { return m.DeviceID })},
	{"IoTAuthMethod", systemProperty(telemetry.AuthMethod)},
	{"IoTAuthGenerationId", systemProperty(telemetry.GenerationID)},
	{"IoTEnqueueTime", enqueued},
	{"IoTMessageSource", messageText(func(m *telemetry.Message) string { return m.Source.String() })},
	{"IoTConnectionModuleId", messageText(func(m *telemetry.Message) string { return m.ModuleID })},
	{"IoTInterfaceName", systemProperty(telemetry.InterfaceID)},
}

func enqueued(_ *arena, m *telemetry.Message, _ int) saql.Value {
	if m.EnqueuedAt.IsZero() { // of a file that does not tell
		return saql.Null
	}
	return saql.Datetime(saql.TicksOf(m.EnqueuedAt))
}

func partitionID(_ *arena, m *telemetry.Message, _ int) saql.Value {
	return saql.Bigint(int64(m.Partition))
}

func sequence(_ *arena, m *telemetry.Message, _ int) saql.Value { return saql.Bigint(m.Seq) }

// messageText is a string of the message, NULL where it is empty.
func messageText(of func(*telemetry.Message) string) metadatum {
	return func(a *arena, m *telemetry.Message, _ int) saql.Value {
		if s := of(m); s != "" {
			return a.str(s)
		}
		return saql.Null
	}
}

func systemProperty(key string) metadatum {
	return func(a *arena, m *telemetry.Message, _ int) saql.Value {
		if s, ok := m.System.Get(key); ok {
			return a.str(s)
		}
		return saql.Null
	}
}

// eventID is a GUID that tells where the event is in the log: the same whenever
// it is read. It is of version 8, RFC 9562's for forms of one's own.
func eventID(a *arena, m *telemetry.Message, index int) saql.Value {
	n := len(a.text)
	a.text = appendHex(a.text, uint64(m.Partition), 8)
	a.text = appendHex(append(a.text, '-'), uint64(index>>12), 4)
	a.text = appendHex(append(a.text, "-8"...), uint64(index), 3)
	a.text = append(a.text, "-8000-"...)
	a.text = appendHex(a.text, uint64(m.Seq), 12)
	return view(a.text[n:])
}

// metadataAt returns what is at a path of an InputColumn, or what is NULL always.
func metadataAt(path []string) metadatum {
	first, rest := path[0], path[1:]
	switch {
	case strings.EqualFold(first, "EventId"):
		return eventID
	case strings.EqualFold(first, "User"):
		return userProperty(rest)
	case strings.EqualFold(first, "IoTHub"):
		return metadataField(iotHub, iotHub[:implicitRecord], rest)
	case strings.EqualFold(first, "EventHub"):
		return metadataField(eventHub, eventHub, rest)
	default: // the implicit columns, which EventHub has too
		return metadataField(eventHub, nil, path)
	}
}

func noMetadata(*arena, *telemetry.Message, int) saql.Value { return saql.Null }

func metadataField(all, inRecord []named, path []string) metadatum {
	if len(path) == 0 {
		return metadataRecord(inRecord)
	}
	for _, f := range all {
		if strings.EqualFold(f.name, path[0]) && len(path) == 1 {
			return f.get
		}
	}
	return noMetadata
}

func metadataRecord(fields []named) metadatum {
	return func(a *arena, m *telemetry.Message, index int) saql.Value {
		from := len(a.fields)
		for _, f := range fields {
			a.fields = append(a.fields, saql.Field{Name: f.name, Value: f.get(a, m, index)})
		}
		return a.record(from)
	}
}

// userProperty is an application property, or all of them as a record.
func userProperty(path []string) metadatum {
	if len(path) > 0 {
		return func(a *arena, m *telemetry.Message, _ int) saql.Value {
			for i := range m.Properties {
				if p := &m.Properties[i]; strings.EqualFold(p.Key, path[0]) && !p.Null {
					return a.str(p.Value)
				}
			}
			return saql.Null
		}
	}
	return func(a *arena, m *telemetry.Message, _ int) saql.Value {
		from := len(a.fields)
		for i := range m.Properties {
			p := &m.Properties[i]
			f := saql.Field{Name: a.str(p.Key).Str()}
			if !p.Null {
				f.Value = a.str(p.Value)
			}
			a.fields = append(a.fields, f)
		}
		return a.record(from)
	}
}
