package pointer

// Signed gives tests the buffer that is signed.
func Signed(r Record) []byte { return r.signed() }

// LastWords is how long a source that was told to stop is listened to.
const LastWords = lastWords
