package keyferry

import "time"

// gate says when an operation may start, when an epoch may be acknowledged, and when the instance must doubt itself.
//
// An operation ends in the mode in which it began. One whose outcome is unknown still runs, for the longest life of a
// request: a put that timed out in a stalled server takes effect later. Times are of the monotonic clock.
type gate struct {
	epoch     uint64
	leaseEnds time.Time
	// lapses counts the renewals that came when the lease was over.
	lapses uint64
	// mustLook: after such a renewal, until the switch was read: the mode may be another one by now.
	mustLook bool
	open     map[*openOperation]struct{}
}

type openOperation struct {
	epoch uint64
	// over is when it can no longer take effect; zero: it runs.
	over time.Time
	// lapses is that of the gate when it began.
	lapses uint64
}

// begin returns nil where it is not serving: nothing may be started then.
func (g *gate) begin(now time.Time) *openOperation {
	if !g.isServing(now) {
		return nil
	}
	begun := &openOperation{epoch: g.epoch, lapses: g.lapses}
	g.open[begun] = struct{}{}
	return begun
}

// isServing tells whether the lease runs, and the switch was read since it last began to.
func (g *gate) isServing(now time.Time) bool {
	return now.Before(g.leaseEnds) && !g.mustLook
}

// end returns whether the outcome may be told as it is: not where the lease has ended since it began, whatever was answered
// and whoever renewed it. A barrier may have passed over this instance meanwhile.
func (g *gate) end(begun *openOperation, known bool, now time.Time, requestLife time.Duration) bool {
	if known {
		delete(g.open, begun)
	} else {
		begun.over = now.Add(requestLife)
	}
	return known && now.Before(g.leaseEnds) && begun.lapses == g.lapses
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

// renewed counts from before the request that renewed was sent. Until it was answered others could see a lease that was over.
func (g *gate) renewed(asked, now time.Time, lease time.Duration) {
	if !now.Before(g.leaseEnds) {
		g.lapses++
		g.mustLook = true
	}
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
