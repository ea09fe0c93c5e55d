package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/weir-iot/weir/telemetry"
)

// MaxBody bounds a message's body when it is unpacked and in UTF-8: 8 MB.
const MaxBody = 8 << 20

var errBody = fmt.Errorf("the body is larger than %d MB when unpacked", MaxBody>>20)

// A body gives the text of messages: unpacked as their content encoding says,
// in UTF-8. It belongs to one goroutine.
type body struct {
	unpacked bytes.Buffer
	text     []byte
	gzip     *gzip.Reader
	flate    io.ReadCloser
	types    map[string]contentType // as they were read before
}

// A contentType is what matters of a MIME type.
type contentType struct {
	csv       bool
	delimiter byte
	charset   string
}

// decode returns m's text. It may be m's own memory, or b's until the next call.
func (b *body) decode(m *telemetry.Message) (text []byte, t contentType, err error) {
	text = m.Body
	t = b.typeOf(m.ContentType)
	charset := t.charset
	// Several codings, as of HTTP, are undone from the last to the first.
	for rest, coding := m.Encoding, ""; rest != ""; {
		if i := strings.LastIndexByte(rest, ','); i >= 0 {
			rest, coding = rest[:i], rest[i+1:]
		} else {
			rest, coding = "", rest
		}
		coding = strings.TrimSpace(coding)
		switch {
		case strings.EqualFold(coding, "gzip"):
			text, err = b.gunzip(text)
		case strings.EqualFold(coding, "deflate"):
			text, err = b.inflate(text)
		default:
			charset = coding // IoT Hub has the character set here
		}
		if err != nil {
			return nil, t, fmt.Errorf("unpacking the body (%s): %w", coding, err)
		}
	}
	text, err = b.utf8(text, charset)
	return text, t, err
}

const maxTypes = 256

func (b *body) typeOf(s string) contentType {
	if s == "" || s == "application/json" {
		return contentType{}
	}
	t, known := b.types[s]
	if known {
		return t
	}
	kind, params, err := mime.ParseMediaType(s)
	if err == nil {
		t = contentType{csv: kind == "text/csv" || kind == "application/csv", charset: params["charset"], delimiter: ','}
		if d := params["delimiter"]; len(d) == 1 && d[0] != '"' && d[0] != '\n' && d[0] != '\r' {
			t.delimiter = d[0]
		}
	}
	if b.types == nil || len(b.types) >= maxTypes {
		b.types = make(map[string]contentType)
	}
	b.types[strings.Clone(s)] = t
	return t
}

func (b *body) gunzip(packed []byte) (_ []byte, err error) {
	if b.gzip == nil {
		b.gzip, err = gzip.NewReader(bytes.NewReader(packed))
	} else {
		err = b.gzip.Reset(bytes.NewReader(packed))
	}
	if err != nil {
		b.gzip = nil
		return nil, err
	}
	return b.unpack(b.gzip)
}

// inflate undoes deflate: with the header of zlib, as HTTP means it, or without,
// as .NET writes it.
func (b *body) inflate(packed []byte) ([]byte, error) {
	if len(packed) > 1 && packed[0]&0x0f == 8 && binary.BigEndian.Uint16(packed)%31 == 0 {
		z, err := zlib.NewReader(bytes.NewReader(packed))
		if err == nil {
			if text, err := b.unpack(z); err == nil || errors.Is(err, errBody) {
				return text, err
			}
		}
	}
	if b.flate == nil {
		b.flate = flate.NewReader(bytes.NewReader(packed))
	} else if err := b.flate.(flate.Resetter).Reset(bytes.NewReader(packed), nil); err != nil {
		return nil, err
	}
	return b.unpack(b.flate)
}

func (b *body) unpack(r io.Reader) ([]byte, error) {
	var out bytes.Buffer
	out, b.unpacked = b.unpacked, out // the packed text may be there: gzip in gzip
	out.Reset()
	n, err := out.ReadFrom(io.LimitReader(r, MaxBody+1))
	b.unpacked = out
	if n > MaxBody {
		err = errBody
	}
	return out.Bytes(), err
}

var errCharset = errors.New("the character set is none of UTF-8, UTF-16 and US-ASCII")

// utf8 returns text in UTF-8 and without byte order mark. A mark tells more
// than what the sender says.
func (b *body) utf8(text []byte, charset string) ([]byte, error) {
	switch {
	case bytes.HasPrefix(text, utf8BOM):
		return text[len(utf8BOM):], nil
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}):
		return b.utf16(text[2:], binary.LittleEndian)
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		return b.utf16(text[2:], binary.BigEndian)
	}
	switch {
	case charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8") || strings.EqualFold(charset, "us-ascii"):
		return text, nil
	case strings.EqualFold(charset, "utf-16be"):
		return b.utf16(text, binary.BigEndian)
	case strings.EqualFold(charset, "utf-16le"):
		return b.utf16(text, binary.LittleEndian)
	case strings.EqualFold(charset, "utf-16"):
		return b.utf16(text, guessOrder(text))
	default:
		return nil, fmt.Errorf("%w: %.40q", errCharset, charset)
	}
}

// guessOrder tells the byte order by the first character, which in JSON and CSV
// is ASCII; .NET writes little-endian.
func guessOrder(text []byte) binary.ByteOrder {
	if len(text) > 1 && text[0] == 0 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (b *body) utf16(text []byte, order binary.ByteOrder) ([]byte, error) {
	if len(text)%2 != 0 {
		return nil, errors.New("UTF-16 of an odd number of bytes")
	}
	b.text = b.text[:0]
	for i := 0; i < len(text); i += 2 {
		r := rune(order.Uint16(text[i:]))
		if utf16.IsSurrogate(r) {
			if i += 2; i >= len(text) {
				return nil, errors.New("UTF-16 that ends in half a character")
			}
			if r = utf16.DecodeRune(r, rune(order.Uint16(text[i:]))); r == utf8.RuneError {
				return nil, errors.New("UTF-16 with half a character")
			}
		}
		b.text = utf8.AppendRune(b.text, r)
	}
	if len(b.text) > MaxBody {
		return nil, errBody
	}
	return b.text, nil
}
