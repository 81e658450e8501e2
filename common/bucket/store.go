package bucket

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
	"unicode/utf8"
)

// Store is what a publisher writes to. Objects are replaced as a whole, never changed in part.
//
// Durability: when Put, PutFile or Delete return nil, the change survives a crash of the store, and every Get, Stat and
// List that begins later sees it. When they return an error, the object is either as before or as wanted, never in
// between, and the call may be repeated: all operations are idempotent.
//
// Retries: the store itself repeats what may succeed the next time (see [Config].RetryFor), so callers need not. An
// error means that the store has given up.
//
// Errors: every error that is not the caller's own (a done context, a source that cannot be read) is an [*Error] and
// wraps one of the sentinels of this package where one applies. ErrNotFound means that the object does not exist;
// a missing bucket is ErrDenied, because the configuration is wrong.
//
// Concurrency: all methods may be called at once, from several processes too. Of two Puts of one key the later to
// finish wins; of objects above 16 MiB only one Put per key may be under way, or else one of the two may fail.
//
// Continuing: a Put that was interrupted, or that the store failed, leaves behind what had arrived. The next Put of that
// key compares it with its body by size and checksum and sends only what is missing or different; an object that is
// there already, with the same content and metadata, is not sent at all. What nobody will continue is for Sweep. The
// metadata of an object whose upload was continued are those of the Put that began it.
//
// Keys are relative slash paths, see [CheckKey]. No key may be a folder of another: a directory could not hold both.
type Store interface {
	// Put stores size bytes of body as key. It reads body in sections, in parallel, and some of them twice: body must
	// not change meanwhile and must allow concurrent ReadAt, as files do.
	Put(ctx context.Context, key string, body io.ReaderAt, size int64, o PutOptions) error

	// PutFile stores the file at path as key. A directory store on the same file system links instead of copying, and
	// makes the file readable for all; so a file once put must not be written to again (deleting or replacing it is
	// fine).
	PutFile(ctx context.Context, key, path string, o PutOptions) error

	// Get returns a small object. One of more than limit bytes is ErrTooLarge, found out before it is read.
	Get(ctx context.Context, key string, limit int64) ([]byte, error)

	// Find is Get that also describes the object, both as of one moment.
	Find(ctx context.Context, key string, limit int64) (Found, error)

	// PutIf stores a small object if what lies under key still has the ETag was, as Find or PutIf told it; an empty was
	// means that nothing may lie there. It returns the ETag of what lies there then. Otherwise the error is an
	// ErrPrecondition and nothing has changed, except that body may lie there already: that is success, whoever put it,
	// because the answer to an earlier attempt may have got lost. So let body say who wrote it, and when.
	//
	// Of several at once that expect the same, one succeeds (RFC 9110, section 13.1). That holds for a key that nothing
	// but PutIf writes. An S3 server without conditional requests is noticed and warned of once; what is possible there is
	// to look, write, wait for a moment and look again.
	PutIf(ctx context.Context, key string, body []byte, was string, o PutOptions) (etag string, err error)

	// Stat describes an object. It is ErrNotFound for a missing one; on AWS that needs s3:ListBucket, without which the
	// answer is ErrDenied.
	Stat(ctx context.Context, key string) (Info, error)

	// List yields the objects whose keys begin with prefix, in no particular order. It ends after the first error.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]

	// Delete removes an object; a missing one is no error.
	Delete(ctx context.Context, key string) error

	// Sweep removes what interrupted Puts of objects under prefix have left behind, except for the keys to keep, and
	// says what it was. No such Put may be under way, except for a directory, where this finds out by itself. A server
	// that cannot list uploads, or not to these credentials, is an error. Some (MinIO) list those of one key only: there
	// a whole key as the prefix finds what is left of it, and a shorter one nothing.
	Sweep(ctx context.Context, prefix string, keep ...string) (Swept, error)

	// Check finds out, quickly and leaving nothing behind, whether the store can be written to. Call it before long
	// work. Unlike the other methods it does not retry.
	Check(ctx context.Context) error

	// String names the store for messages, without secrets.
	String() string
}

// PutOptions are the optional parts of a Put. The zero value is usable; [Defaults] has what readers expect.
//
// A directory keeps no metadata: there the web server in front of it decides on the header fields.
type PutOptions struct {
	// ContentType is the media type, application/octet-stream if empty.
	ContentType string
	// CacheControl is the Cache-Control header field of later responses (RFC 9111).
	CacheControl string
	// ContentDisposition is the Content-Disposition header field of later responses (RFC 6266).
	ContentDisposition string
	// Progress, if not nil, is called with the number of bytes on their way or stored so far. It goes back when a part
	// has to be sent again. Calls never overlap; they come often, so it must be quick.
	Progress func(sent int64)
}

// Info describes a stored object.
type Info struct {
	// Key is the object's name.
	Key string
	// Size is its length in bytes.
	Size int64
	// ETag identifies its content, without quotes; empty if unknown.
	ETag string
	// Modified is when it was stored; the zero time if unknown.
	Modified time.Time
}

// Found is an object as it was at one moment.
type Found struct {
	Info
	// Body is all of it.
	Body []byte
	// Asked is the time of that moment by the clock that Modified is of, in full seconds at worst; the zero time if unknown.
	Asked time.Time
}

// Swept is what a Sweep removed.
type Swept struct {
	// Uploads is how many there were.
	Uploads int
	// Bytes is how much room they took.
	Bytes int64
}

const (
	maxKey     = 1024 // of S3
	maxElement = 255  // of file systems
)

// CheckKey accepts what may be the name of an object: a relative slash path of at most 1024 bytes that means the same
// in a bucket, on a file system and in a URL. It has no empty, "." or ".." elements, no control characters and no
// backslash, and does not begin with a dot. The error wraps [ErrBadKey].
func CheckKey(key string) error {
	switch {
	case key == "" || len(key) > maxKey:
		return fmt.Errorf("%w: %d bytes, want 1 to %d", ErrBadKey, len(key), maxKey)
	case !utf8.ValidString(key) || strings.ContainsFunc(key, badKeyRune):
		return fmt.Errorf("%w %q: holds a control character, a backslash or no UTF-8", ErrBadKey, clip(key))
	case key[0] == '.':
		return fmt.Errorf("%w %q: begins with a dot", ErrBadKey, clip(key))
	}
	for element := range strings.SplitSeq(key, "/") {
		if element == "" || element == "." || element == ".." || len(element) > maxElement {
			return fmt.Errorf("%w %q: element %q", ErrBadKey, clip(key), clip(element))
		}
	}
	return nil
}

func badKeyRune(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }
