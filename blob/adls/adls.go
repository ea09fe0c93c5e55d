// Package adls is the bucket in a container of Azure Blob Storage or a file
// system of Azure Data Lake Storage, with or without a hierarchical namespace:
// both serve the Blob protocol, which this speaks.
//
// It promises what blob.Bucket promises: a create is a Put Blob with
// If-None-Match, a swap one with If-Match; a version is the blob's ETag. An
// object up to 256 KB stays as it was when it was opened; of a larger one that
// is replaced meanwhile, reads fail with blob.ErrChanged. It leaves out making
// the container, and removing folders that became empty.
package adls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	azblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/internal/rangeread"
)

// Options say where the container is. Without a key the identity is what Azure's
// tools use: environment, managed identity, az login.
type Options struct {
	Account   string
	Container string // or file system
	Prefix    string // of all names, without a slash at its end
	Key       string // of the account, in base64; "" uses the identity
	Endpoint  string // "" is https://ACCOUNT.blob.core.windows.net
}

// blockSize is what an upload keeps in memory, in bytes; a blob has at most
// 50,000 blocks.
const blockSize = 8 << 20

// Bucket is a blob.Bucket.
type Bucket struct {
	container *container.Client
	once      *container.Client // never repeats a request: a swap that won must not lose to itself
	prefix    string
}

var _ blob.Bucket = (*Bucket)(nil)

// Open returns the bucket; the first request is made when it is used.
func Open(o Options) (*Bucket, error) {
	if o.Endpoint == "" {
		o.Endpoint = "https://" + o.Account + ".blob.core.windows.net"
	}
	url := strings.TrimSuffix(o.Endpoint, "/") + "/" + o.Container
	b := &Bucket{}
	if o.Prefix != "" {
		b.prefix = strings.Trim(o.Prefix, "/") + "/"
	}
	var err error
	if b.container, err = connect(o, url, policy.RetryOptions{}); err == nil {
		b.once, err = connect(o, url, policy.RetryOptions{MaxRetries: -1})
	}
	if err != nil {
		return nil, fmt.Errorf("blob/adls: opening %s: %w", url, err)
	}
	return b, nil
}

func connect(o Options, url string, retry policy.RetryOptions) (*container.Client, error) {
	options := &container.ClientOptions{ClientOptions: azcore.ClientOptions{Retry: retry}}
	if o.Key != "" {
		key, err := container.NewSharedKeyCredential(o.Account, o.Key)
		if err != nil {
			return nil, err
		}
		return container.NewClientWithSharedKeyCredential(url, key, options)
	}
	identity, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, err
	}
	return container.NewClient(url, identity, options)
}

// Open implements blob.Bucket. The object is read within ctx.
func (b *Bucket) Open(ctx context.Context, name string) (blob.Object, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	first, size, etag, err := b.get(ctx, name, nil, 0, rangeread.Block)
	if err != nil {
		return nil, failed(ctx, "opening", name, err)
	}
	return rangeread.New(size, blob.Version(*etag), first, func(off, n int64) ([]byte, error) {
		data, _, _, err := b.get(ctx, name, etag, off, n)
		if err != nil {
			return nil, failed(ctx, "reading", name, err)
		}
		return data, nil
	}), nil
}

// get reads a range of a blob, if it is of the version.
func (b *Bucket) get(ctx context.Context, name string, etag *azcore.ETag, off, n int64) (data []byte, size int64, version *azcore.ETag, err error) {
	o := &azblob.DownloadStreamOptions{Range: azblob.HTTPRange{Offset: off, Count: n}}
	if etag != nil {
		o.AccessConditions = conditions(&azblob.ModifiedAccessConditions{IfMatch: etag})
	}
	client := b.container.NewBlobClient(b.prefix + name)
	r, err := client.DownloadStream(ctx, o)
	if isStatus(err, http.StatusRequestedRangeNotSatisfiable) { // it is empty
		r, err = client.DownloadStream(ctx, nil)
	}
	if err != nil {
		return nil, 0, nil, err
	}
	defer r.Body.Close()
	if isFolder(r.Metadata) {
		return nil, 0, nil, blob.ErrNotExist
	}
	if data, err = io.ReadAll(r.Body); err != nil {
		return nil, 0, nil, err
	}
	size = int64(len(data))
	if r.ContentRange != nil {
		if _, err := fmt.Sscanf((*r.ContentRange)[strings.LastIndexByte(*r.ContentRange, '/')+1:], "%d", &size); err != nil {
			return nil, 0, nil, fmt.Errorf("content range %q: %w", *r.ContentRange, err)
		}
	}
	return data, size, r.ETag, nil
}

// isFolder tells the folders of a hierarchical namespace, which look like blobs.
func isFolder(metadata map[string]*string) bool {
	for k, v := range metadata {
		if strings.EqualFold(k, "hdi_isfolder") && v != nil && *v == "true" {
			return true
		}
	}
	return false
}

// Put implements blob.Bucket.
func (b *Bucket) Put(ctx context.Context, name string, r io.Reader) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	client := b.container.NewBlockBlobClient(b.prefix + name)
	if _, err := client.UploadStream(ctx, r, &blockblob.UploadStreamOptions{BlockSize: blockSize, Concurrency: 1}); err != nil {
		return failed(ctx, "writing", name, err)
	}
	return nil
}

// Swap implements blob.Bucket. The object is kept in memory meanwhile.
func (b *Bucket) Swap(ctx context.Context, name string, old blob.Version, r io.Reader) (blob.Version, error) {
	if err := check(ctx, name); err != nil {
		return blob.Absent, err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return blob.Absent, fmt.Errorf("blob/adls: writing %s: %w", name, err)
	}
	anything, version := azcore.ETagAny, azcore.ETag(old)
	when := &azblob.ModifiedAccessConditions{IfMatch: &version}
	if old == blob.Absent {
		when = &azblob.ModifiedAccessConditions{IfNoneMatch: &anything}
	}
	client := b.once.NewBlockBlobClient(b.prefix + name)
	body := streaming.NopCloser(bytes.NewReader(data))
	response, err := client.Upload(ctx, body, &blockblob.UploadOptions{AccessConditions: conditions(when)})
	switch {
	case err == nil:
		return blob.Version(*response.ETag), nil
	case isStatus(err, http.StatusConflict), isStatus(err, http.StatusNotFound) && old != blob.Absent:
		return blob.Absent, blob.ErrChanged // BlobAlreadyExists; gone
	default:
		return blob.Absent, failed(ctx, "writing", name, err)
	}
}

// List implements blob.Bucket. The names are kept in memory: those of a
// hierarchical namespace come in another order.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		names, err := b.names(ctx, prefix)
		if err != nil {
			yield("", failed(ctx, "listing", prefix, err))
			return
		}
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
	}
}

func (b *Bucket) names(ctx context.Context, prefix string) (names []string, err error) {
	whole := b.prefix + prefix
	pages := b.container.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &whole, Include: container.ListBlobsInclude{Metadata: true}})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Segment.BlobItems {
			if !isFolder(item.Metadata) {
				names = append(names, strings.TrimPrefix(*item.Name, b.prefix))
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// Delete implements blob.Bucket.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	_, err := b.container.NewBlobClient(b.prefix+name).Delete(ctx, nil)
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return failed(ctx, "deleting", name, err)
	}
	return nil
}

func conditions(c *azblob.ModifiedAccessConditions) *azblob.AccessConditions {
	return &azblob.AccessConditions{ModifiedAccessConditions: c}
}

func check(ctx context.Context, name string) error {
	if err := blob.CheckName(name); err != nil {
		return err
	}
	return ctx.Err()
}

func isStatus(err error, status int) bool {
	var response *azcore.ResponseError
	return errors.As(err, &response) && response.StatusCode == status
}

// failed says what an error means.
func failed(ctx context.Context, doing, name string, err error) error {
	var response *azcore.ResponseError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, blob.ErrNotExist):
		return blob.ErrNotExist
	case errors.As(err, &response) && response.StatusCode == http.StatusNotFound && response.ErrorCode != "ContainerNotFound":
		return blob.ErrNotExist
	case isStatus(err, http.StatusPreconditionFailed):
		return blob.ErrChanged
	default:
		return fmt.Errorf("blob/adls: %s %s: %w", doing, name, err)
	}
}
