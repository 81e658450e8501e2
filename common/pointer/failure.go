package pointer

import (
	"fmt"
	"slices"
	"strings"
)

// failure is the error of a round that found nothing to follow. It names every reason once.
func (round *round) failure() error {
	var reasons []string
	kind := ErrNotFound
	if len(round.result.Refused) > 0 {
		kind = ErrAllRefused
	}
	var causes []error
	for _, f := range round.result.Refused {
		reasons = append(reasons, f.Source+": "+f.Err.Error())
		causes = append(causes, f.Err)
	}
	for _, a := range round.result.Answers {
		switch {
		case a.Err != nil:
			reasons = append(reasons, a.Source+": "+a.Err.Error())
		case a.Late && a.Records == 0:
			reasons = append(reasons, a.Source+": gave no answer in time")
		case a.Records == 0:
			reasons = append(reasons, a.Source+": has none")
		}
	}
	return &failure{
		text:   fmt.Sprintf("%s: channel %s: %s", kind, round.ch.Salt, strings.Join(slices.Compact(reasons), "; ")),
		causes: append(causes, kind),
	}
}

// failure reads as one line and still answers errors.Is for every reason in it.
type failure struct {
	text   string
	causes []error
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return f.causes }
