package swarm

import (
	"errors"
	"net/url"
)

// CheckTracker accepts the address of a tracker that a client can announce to (BEP 3, BEP 15).
func CheckTracker(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme == "udp" && u.Port() == "" {
		return errors.New("want http://, https:// or udp://HOST:PORT")
	}
	switch u.Scheme {
	case "http", "https", "udp":
		return nil
	}
	return errors.New("want http://, https:// or udp://HOST:PORT")
}
