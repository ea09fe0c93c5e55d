// Package s3 is the bucket in Amazon S3, or in a store that speaks its protocol
// and has conditional writes (MinIO, Ceph, Cloudflare R2, versitygw).
//
// It promises what blob.Bucket promises: a create is a PUT with If-None-Match,
// a swap one with If-Match; a version is the object's ETag. An object up to 256
// KB stays as it was when it was opened; of a larger one that is replaced
// meanwhile, reads fail with blob.ErrChanged. It leaves out making the bucket.
package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/internal/rangeread"
)

// Options say where the bucket is. Keys left empty are taken from where the AWS
// tools take them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the file of
// credentials, the role of the machine.
type Options struct {
	Endpoint  string // host[:port]; "" is Amazon's
	Region    string // "" is asked for
	Bucket    string
	Prefix    string // of all names, without a slash at its end
	AccessKey string
	SecretKey string
	Insecure  bool // plain HTTP, for tests
}

// partSize is what an upload of unknown length keeps in memory, in bytes.
const partSize = 16 << 20

// Bucket is a blob.Bucket.
type Bucket struct {
	client *minio.Client
	once   *minio.Core // never repeats a request: a swap that won must not lose to itself
	bucket string
	prefix string
}

var _ blob.Bucket = (*Bucket)(nil)

// Open returns the bucket; the first request is made when it is used.
func Open(o Options) (*Bucket, error) {
	keys := credentials.NewStaticV4(o.AccessKey, o.SecretKey, "")
	if o.AccessKey == "" {
		keys = credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{Client: http.DefaultClient},
		})
	}
	if o.Endpoint == "" {
		o.Endpoint = "s3.amazonaws.com"
	}
	options := minio.Options{Creds: keys, Secure: !o.Insecure, Region: o.Region}
	client, err := minio.New(o.Endpoint, &options)
	if err != nil {
		return nil, fmt.Errorf("blob/s3: opening %s: %w", o.Endpoint, err)
	}
	options.MaxRetries = 1
	once, err := minio.NewCore(o.Endpoint, &options)
	if err != nil {
		return nil, fmt.Errorf("blob/s3: opening %s: %w", o.Endpoint, err)
	}
	b := &Bucket{client: client, once: once, bucket: o.Bucket}
	if o.Prefix != "" {
		b.prefix = strings.Trim(o.Prefix, "/") + "/"
	}
	return b, nil
}

// Open implements blob.Bucket. The object is read within ctx.
func (b *Bucket) Open(ctx context.Context, name string) (blob.Object, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	first, size, etag, err := b.get(ctx, name, "", 0, rangeread.Block)
	if err != nil {
		return nil, failed(ctx, "opening", name, err)
	}
	return rangeread.New(size, blob.Version(etag), first, func(off, n int64) ([]byte, error) {
		data, _, _, err := b.get(ctx, name, etag, off, n)
		if err != nil {
			return nil, failed(ctx, "reading", name, err)
		}
		return data, nil
	}), nil
}

// get reads a range of an object, if it is of the version.
func (b *Bucket) get(ctx context.Context, name, etag string, off, n int64) (data []byte, size int64, version string, err error) {
	var o minio.GetObjectOptions
	if err := o.SetRange(off, off+n-1); err != nil {
		return nil, 0, "", err
	}
	if etag != "" {
		if err := o.SetMatchETag(etag); err != nil {
			return nil, 0, "", err
		}
	}
	core := minio.Core{Client: b.client}
	body, info, header, err := core.GetObject(ctx, b.bucket, b.prefix+name, o)
	if isStatus(err, http.StatusRequestedRangeNotSatisfiable) { // it is empty
		body, info, header, err = core.GetObject(ctx, b.bucket, b.prefix+name, minio.GetObjectOptions{})
	}
	if err != nil {
		return nil, 0, "", err
	}
	defer body.Close()
	if etag != "" && info.ETag != etag {
		return nil, 0, "", blob.ErrChanged
	}
	if data, err = io.ReadAll(body); err != nil {
		return nil, 0, "", err
	}
	return data, sizeOf(header, int64(len(data))), info.ETag, nil
}

// sizeOf reads "bytes 0-9/100"; the whole object has no such header.
func sizeOf(header http.Header, n int64) int64 {
	_, total, _ := strings.Cut(header.Get("Content-Range"), "/")
	if size, err := strconv.ParseInt(total, 10, 64); err == nil {
		return size
	}
	return n
}

// Put implements blob.Bucket.
func (b *Bucket) Put(ctx context.Context, name string, r io.Reader) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	first, err := io.ReadAll(io.LimitReader(r, partSize))
	if err != nil {
		return fmt.Errorf("blob/s3: writing %s: %w", name, err)
	}
	size := int64(len(first))
	var body io.Reader = bytes.NewReader(first)
	if size == partSize {
		body, size = io.MultiReader(body, r), -1
	}
	if _, err = b.client.PutObject(ctx, b.bucket, b.prefix+name, body, size, putOptions()); err != nil {
		return failed(ctx, "writing", name, err)
	}
	return nil
}

// putOptions leave the signing of bodies to TLS; not all servers know how a
// stream is signed.
func putOptions() minio.PutObjectOptions {
	return minio.PutObjectOptions{PartSize: partSize, DisableContentSha256: true}
}

// Swap implements blob.Bucket. The object is kept in memory meanwhile.
func (b *Bucket) Swap(ctx context.Context, name string, old blob.Version, r io.Reader) (blob.Version, error) {
	if err := check(ctx, name); err != nil {
		return blob.Absent, err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return blob.Absent, fmt.Errorf("blob/s3: writing %s: %w", name, err)
	}
	o := putOptions()
	if old == blob.Absent {
		o.SetMatchETagExcept("*")
	} else {
		o.SetMatchETag(string(old))
	}
	for {
		info, err := b.once.PutObject(ctx, b.bucket, b.prefix+name, bytes.NewReader(data), int64(len(data)), "", "", o)
		switch {
		case err == nil:
			return blob.Version(info.ETag), nil
		case isStatus(err, http.StatusConflict) && ctx.Err() == nil: // another swap is under way
		case isStatus(err, http.StatusNotFound) && old != blob.Absent:
			return blob.Absent, blob.ErrChanged
		default:
			return blob.Absent, failed(ctx, "writing", name, err)
		}
	}
}

// List implements blob.Bucket.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if err := ctx.Err(); err != nil {
			yield("", err)
			return
		}
		for o := range b.client.ListObjectsIter(ctx, b.bucket, minio.ListObjectsOptions{Prefix: b.prefix + prefix, Recursive: true}) {
			if o.Err != nil {
				yield("", failed(ctx, "listing", prefix, o.Err))
				return
			}
			if !yield(strings.TrimPrefix(o.Key, b.prefix), nil) {
				return
			}
		}
	}
}

// Delete implements blob.Bucket.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	err := b.client.RemoveObject(ctx, b.bucket, b.prefix+name, minio.RemoveObjectOptions{})
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return failed(ctx, "deleting", name, err)
	}
	return nil
}

func check(ctx context.Context, name string) error {
	if err := blob.CheckName(name); err != nil {
		return err
	}
	return ctx.Err()
}

func isStatus(err error, status int) bool {
	return err != nil && minio.ToErrorResponse(err).StatusCode == status
}

// failed says what an error means.
func failed(ctx context.Context, doing, name string, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case isStatus(err, http.StatusNotFound) && minio.ToErrorResponse(err).Code != minio.NoSuchBucket:
		return blob.ErrNotExist
	case isStatus(err, http.StatusPreconditionFailed):
		return blob.ErrChanged
	case errors.Is(err, blob.ErrChanged):
		return err
	default:
		return fmt.Errorf("blob/s3: %s %s: %w", doing, name, err)
	}
}
