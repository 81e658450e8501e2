package schedule

// take returns up to n runs of wanted pieces that are not in held, at most one of each unit that is this mirror's, in its own order.
func (r *Rule) take(v *View, n int, held Set, mine func(unit int) bool) []Run {
	var runs []Run
	for _, u := range r.order {
		if len(runs) >= n {
			break
		}
		if run := r.run(v.Wanted, held, int(u)); run.N > 0 && (mine == nil || mine(int(u))) {
			runs = append(runs, run)
		}
	}
	return runs
}

// run is the first run of unit u that is wanted and not held.
func (r *Rule) run(wanted, held Set, u int) Run {
	var run Run
	for i := u * r.Unit; i < min((u+1)*r.Unit, r.Pieces); i++ {
		if wanted.Has(i) && (held == nil || !held.Has(i)) {
			if run.N == 0 {
				run.First = i
			}
			run.N++
		} else if run.N > 0 {
			break
		}
	}
	return run
}
