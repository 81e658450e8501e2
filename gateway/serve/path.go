package serve

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPath is how long a path may be in bytes, as it was sent. The longest that exists is a salt, a version, a file name with
// every byte escaped and a suffix: below 800.
const maxPath = 1024

// checkPath refuses paths that no link here has ever had, before anything looks at them: those that other programs would read
// in another way than this one (encoded separators, dot segments, control characters), and endless ones. What remains has the
// same elements escaped and unescaped.
func checkPath(u *url.URL) error {
	escaped := u.EscapedPath()
	lower := strings.ToLower(escaped)
	switch {
	case len(escaped) > maxPath:
		return refuse(http.StatusRequestURITooLong, "The path is longer than %d bytes.", maxPath)
	case !strings.HasPrefix(escaped, "/"):
		return refuse(http.StatusBadRequest, "The path must begin with a slash.")
	case strings.Contains(lower, "%2f"), strings.Contains(lower, "%5c"), strings.Contains(u.Path, `\`):
		return refuse(http.StatusBadRequest, "The path holds an encoded separator.")
	case !utf8.ValidString(u.Path), strings.ContainsFunc(u.Path, unprintable):
		return refuse(http.StatusBadRequest, "The path holds a character that no name here has.")
	}
	elements := strings.Split(u.Path[1:], "/")
	for i, element := range elements {
		switch {
		case element == "." || element == "..":
			return refuse(http.StatusBadRequest, "The path holds a dot segment.")
		case element == "" && i < len(elements)-1:
			return refuse(http.StatusNotFound, "The path holds an empty segment.")
		}
	}
	return nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
