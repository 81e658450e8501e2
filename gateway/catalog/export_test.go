package catalog

// Inside looks for tests of the decisions.
var (
	NewestHolding = newestHolding
	Outdated      = outdated
	Jittered      = jittered
	Sooner        = sooner
)
