package pointer

import (
	"errors"
	"fmt"
	"time"

	"snapswarm/common/snapshot"
)

// round is one round of asking all sources. One goroutine owns it.
type round struct {
	ch    snapshot.Channel
	now   time.Time
	saved *Record // what the ratchet holds; nil when nothing

	candidates []candidate // valid on their own, in the order of arrival
	result     Resolution
}

// candidate is a record that is valid on its own, and the source that offered it.
type candidate struct {
	Record
	source string
}

func (r *Resolver) newRound(ch snapshot.Channel) (*round, error) {
	round := &round{ch: ch, now: r.cfg.Now()}
	for _, s := range r.cfg.Sources {
		round.result.Answers = append(round.result.Answers, Answer{Source: s.Name(), Late: true})
	}
	if r.cfg.Ratchet == nil {
		return round, nil
	}
	saved, ok, err := r.cfg.Ratchet.Last(ch)
	if err != nil {
		return nil, fmt.Errorf("find pointer of %s: %w", ch.Salt, err)
	}
	if ok {
		round.saved = &saved
	}
	return round, nil
}

// add takes in an answer and reports whether it holds something that may be followed.
func (round *round) add(rep reply) (useful bool) {
	answer := &round.result.Answers[rep.index]
	answer.Late, answer.Took, answer.Err, answer.Records = false, rep.took, rep.err, len(rep.records)
	if errors.Is(rep.err, ErrMalformed) || errors.Is(rep.err, ErrTooLarge) {
		// The source has something, but it is no record: refused like one that is badly signed.
		answer.Err, answer.Records = nil, 1
		round.refuse(answer.Source, Record{}, rep.err)
	}
	answer.Seq = round.consider(rep)
	return answer.Seq > 0
}

// consider makes candidates of the records that are valid on their own, and refuses the rest. It
// returns the highest sequence number that may be followed, 0 if there is none.
func (round *round) consider(rep reply) (best int64) {
	for _, rec := range rep.records {
		if err := check(round.ch, rec, round.now); err != nil {
			round.refuse(rep.source, rec, err)
			continue
		}
		round.candidates = append(round.candidates, candidate{Record: rec, source: rep.source})
		if round.saved == nil || rec.Seq >= round.saved.Seq {
			best = max(best, rec.Seq)
		}
	}
	return best
}

// addLate takes in an answer of a source that was told to stop. Its records are as good as any; its
// error is only our own impatience when late is set.
func (round *round) addLate(rep reply, late bool) {
	if late {
		rep.err = nil
	}
	round.add(rep)
	round.result.Answers[rep.index].Late = late
}

// take makes rec, which is valid, the result.
func (round *round) take(rec Record, source string) {
	p, err := rec.Pointer()
	if err != nil {
		return // cannot be: check and parseState read it before
	}
	round.result.Record, round.result.Pointer, round.result.Source = rec, p, source
}

// refuse notes a refusal, once per source and reason.
func (round *round) refuse(source string, rec Record, err error) {
	for _, f := range round.result.Refused {
		if f.Source == source && f.Seq == rec.Seq && f.Err.Error() == err.Error() {
			return
		}
	}
	round.result.Refused = append(round.result.Refused, Refusal{Source: source, Seq: rec.Seq, Err: err})
}
