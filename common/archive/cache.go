package archive

import "sync"

// cache holds the frames that ReadAt decoded last, in a fixed number of slots. It bounds both the memory and the number of
// decoders: who needs a frame while every slot is in use waits for one.
type cache struct {
	mu    sync.Mutex
	idle  sync.Cond // a slot became unused
	slots []*slot   // mu; grows up to its capacity
	clock uint64    // mu
}

// slot is one decoded frame. raw and err are written by whoever loads it, before loaded is closed, and only read after.
type slot struct {
	frame  int    // cache.mu
	users  int    // cache.mu
	used   uint64 // cache.mu: clock of the last use
	loaded chan struct{}

	dec *frameDecoder
	raw []byte
	err error
}

func newCache(slots int) *cache {
	c := &cache{slots: make([]*slot, 0, slots)}
	c.idle.L = &c.mu
	return c
}

// get returns the slot of frame i, decoded; put gives it back.
func (c *cache) get(r *Reader, i int) (*slot, error) {
	s, load := c.take(i)
	if load {
		s.err = s.load(r, i)
		close(s.loaded)
	}
	<-s.loaded
	if err := s.err; err != nil {
		c.forget(s)
		return nil, err
	}
	return s, nil
}

// take finds the slot of frame i, or makes one its slot, which the caller then has to load.
func (c *cache) take(i int) (s *slot, load bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var oldest *slot
		for _, s := range c.slots {
			if s.frame == i {
				c.use(s)
				return s, false
			}
			if s.users == 0 && (oldest == nil || s.used < oldest.used) {
				oldest = s
			}
		}
		if len(c.slots) < cap(c.slots) {
			oldest = &slot{}
			c.slots = append(c.slots, oldest)
		}
		if oldest != nil {
			oldest.frame, oldest.loaded = i, make(chan struct{})
			c.use(oldest)
			return oldest, true
		}
		c.idle.Wait()
	}
}

// use is called with mu held.
func (c *cache) use(s *slot) {
	c.clock++
	s.users++
	s.used = c.clock
}

func (c *cache) put(s *slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.users--; s.users == 0 {
		c.idle.Broadcast() // each waits for another frame, which may be there by now
	}
}

// forget gives back a slot that could not be loaded, so that the next reader tries again.
func (c *cache) forget(s *slot) {
	c.mu.Lock()
	s.frame = -1
	c.mu.Unlock()
	c.put(s)
}

func (s *slot) load(r *Reader, i int) (err error) {
	if s.dec == nil {
		if s.dec, err = newFrameDecoder(); err != nil {
			return err
		}
	}
	s.raw, err = s.dec.decode(r, i, s.raw)
	return err
}
