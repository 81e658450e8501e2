package pointer

// Signed gives tests the buffer that is signed.
func Signed(r Record) []byte { return r.signed() }
