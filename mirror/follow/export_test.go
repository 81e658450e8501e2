package follow

// WithFree lets tests say how much room there is.
func (c Config) WithFree(free func() int64) Config {
	c.disks = func(string) (int64, error) { return free(), nil }
	return c
}
