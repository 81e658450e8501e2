package serve

import (
	"fmt"
	"path"
	"strings"
)

// mediaTypes by extension. Nothing in here makes a browser run or render what a publisher packed.
var mediaTypes = map[string]string{
	".zst": "application/zstd", // RFC 8878
	".gz":  "application/gzip",
	".xz":  "application/x-xz",
	".lz4": "application/x-lz4",
	".bz2": "application/x-bzip2",
	".tar": "application/x-tar",
	".zip": "application/zip",
}

// mediaType is the Content-Type of a file: that of its last suffix, since the file is sent as it is and never with a
// Content-Encoding.
func mediaType(name string) string {
	if t, ok := mediaTypes[strings.ToLower(path.Ext(name))]; ok {
		return t
	}
	return "application/octet-stream"
}

// disposition is the Content-Disposition that saves a file under its name (RFC 6266). Names that are more than plain ASCII
// are given twice, the second time as RFC 8187 wants it; old clients take the first.
func disposition(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' || r == '%' {
			return '_'
		}
		return r
	}, name)
	value := `attachment; filename="` + plain + `"`
	if plain != name {
		value += "; filename*=UTF-8''" + percentEncode(name)
	}
	return value
}

// percentEncode is the value-chars of RFC 8187 section 3.2.1: everything but attr-char is escaped.
func percentEncode(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if isAlphanumeric(c) || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
