package keyferry

import "time"

// gate says when an operation may start, when an epoch may be acknowledged, and when the instance must doubt itself.
//
// An operation ends in the mode in which it began. One whose outcome is unknown still runs, for the longest life of a
// request: a put that timed out in a stalled server takes effect later. Times are of the monotonic clock.
type gate struct {
	epoch     uint64
	leaseEnds time.Time
	open      map[*openOperation]struct{}
}

type openOperation struct {
	epoch uint64
	// over is when it can no longer take effect; zero: it runs.
	over time.Time
}

// begin returns nil past the lease: nothing may be started then.
func (g *gate) begin(now time.Time) *openOperation {
	if !now.Before(g.leaseEnds) {
		return nil
	}
	begun := &openOperation{epoch: g.epoch}
	g.open[begun] = struct{}{}
	return begun
}

// end returns whether the outcome may be told as it is: not past the end of the lease, whatever was answered.
func (g *gate) end(begun *openOperation, known bool, now time.Time, requestLife time.Duration) bool {
	if known {
		delete(g.open, begun)
	} else {
		begun.over = now.Add(requestLife)
	}
	return known && now.Before(g.leaseEnds)
}

// acknowledgeable is the highest epoch in which, or after which, everything runs.
func (g *gate) acknowledgeable(now time.Time) uint64 {
	g.dropOver(now)
	oldest := g.epoch
	for each := range g.open {
		oldest = min(oldest, each.epoch)
	}
	return oldest
}

func (g *gate) hasOpen(now time.Time) bool {
	g.dropOver(now)
	return len(g.open) > 0
}

// renewed counts from before the request that renewed was sent.
func (g *gate) renewed(asked time.Time, lease time.Duration) {
	if ends := asked.Add(lease); ends.After(g.leaseEnds) {
		g.leaseEnds = ends
	}
}

func (g *gate) dropOver(now time.Time) {
	for each := range g.open {
		if !each.over.IsZero() && !each.over.After(now) {
			delete(g.open, each)
		}
	}
}
