package archive

// FallbackEncoder is what Encoder says without build information.
const FallbackEncoder = encoderName + " " + encoderVersion

// FrameBound is the bound that the reader holds frames against.
var FrameBound = frameBound
