package keyferry

import (
	"context"
	"errors"
	"sync"
	"time"
)

// presence is an instance at the switch.
//
//	register ─► read the switch ─► serve ⟲ (read, follow, acknowledge or renew) ─► leave: remove the registration
//	                                 └── past the lease: starts nothing until a renewal succeeds
//	                                 └── named gone by an operator: never serves again
//
// In that order, so that no late starter begins in an older mode. One loop does all of it, one request after the other:
// an acknowledgement and a renewal are the same write, and a lost answer to it is settled by reading what is there.
type presence struct {
	instance string
	place    Switch
	settings settings

	mutex   sync.Mutex
	gate    gate
	mode    Mode
	seen    string
	numbers numbers // of the record
	isGone  bool
	changed chan struct{} // closed, and made anew, whenever the mode or the lease has changed

	// Written by the loop alone, under the mutex.
	registration Registration
	// Of the loop alone.
	version  string // "": nothing is there
	inDoubt  bool   // what is there is not known
	renewDue time.Time

	wake chan struct{}
	stop context.CancelFunc
	done chan struct{}
}

// While writes are held back, the switch is read so many times as often: that is the pause that applications see.
const (
	heldPollShare  = 20
	renewalsALease = 3
)

func newPresence(place Switch, instance string, comparesSwitch bool, s settings) *presence {
	return &presence{
		instance: instance,
		place:    place,
		settings: s,
		gate:     gate{open: map[*openOperation]struct{}{}},
		mode:     Legacy,
		changed:  make(chan struct{}),
		registration: Registration{
			Instance:       instance,
			LeaseMs:        uint64(s.lease.Milliseconds()),
			ComparesSwitch: comparesSwitch,
			Since:          time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		},
		wake: make(chan struct{}, 1),
		done: make(chan struct{}),
	}
}

// start returns once the instance is registered and knows the mode.
func (p *presence) start(ctx context.Context) error {
	steps := []func(context.Context) error{p.renew, p.follow, p.renew}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			// One that nobody renews would be waited for at every barrier.
			return errors.Join(err, p.removeRegistration(ctx))
		}
	}
	running, stop := context.WithCancel(context.Background())
	p.stop = stop
	go p.keepUp(running)
	return nil
}

type begun struct {
	operation *openOperation
	mode      Mode
	seen      Seen
}

// begin returns nil past the lease, and fails once an operator has named this instance gone.
func (p *presence) begin() (*begun, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.isGone {
		return nil, p.namedGone()
	}
	operation := p.gate.begin(time.Now())
	if operation == nil {
		return nil, nil
	}
	return &begun{operation, p.mode, Seen{Epoch: operation.epoch, Version: p.seen}}, nil
}

func (p *presence) announcedNumbers() numbers {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.numbers
}

// end returns whether the outcome may be told as it is.
func (p *presence) end(operation *openOperation, known bool) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	certain := p.gate.end(operation, known, time.Now(), p.settings.requestLife)
	if p.registration.Acknowledged < p.gate.epoch {
		p.lookNow()
	}
	return certain && !p.isGone
}

func (p *presence) status() (mode Mode, epoch uint64, serving bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.mode, p.gate.epoch, !p.isGone && p.gate.isServing(time.Now())
}

// changes is closed with the next change of the mode or the lease. Take it before looking, so that none is missed.
func (p *presence) changes() <-chan struct{} {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.changed
}

// lookNow has the switch read at once: it is known to have moved, or an acknowledgement may be possible.
func (p *presence) lookNow() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// leave waits for what is under way, for one request life at most.
func (p *presence) leave(ctx context.Context) error {
	until := time.Now().Add(p.settings.requestLife)
	for p.hasOpen() && time.Now().Before(until) && ctx.Err() == nil {
		sleep(ctx, p.settings.poll)
	}
	p.stop()
	<-p.done
	p.mutex.Lock()
	p.gate.leaseEnds = time.Time{}
	p.notify()
	p.mutex.Unlock()
	// One whose outcome nobody knows keeps the registration: barriers wait for this instance as for a lapsed one.
	if p.hasOpen() {
		return nil
	}
	return p.removeRegistration(ctx)
}

func (p *presence) hasOpen() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.gate.hasOpen(time.Now())
}

func (p *presence) removeRegistration(ctx context.Context) error {
	if p.inDoubt {
		if err := p.resync(ctx); err != nil {
			return err
		}
	}
	if p.version == "" || p.gone() {
		return nil
	}
	_, err := p.place.RemoveCell(ctx, registrationPlace(p.instance), p.version)
	return err
}

func (p *presence) keepUp(ctx context.Context) {
	defer close(p.done)
	for {
		p.mutex.Lock()
		poll := p.settings.poll
		if modeTable[p.mode].writes == held || p.registration.Acknowledged < p.gate.epoch {
			poll /= heldPollShare
		}
		p.mutex.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-time.After(poll):
		}
		if p.gone() {
			return
		}
		if err := p.look(ctx); err != nil && ctx.Err() == nil {
			p.settings.onProblem(err)
		}
	}
}

func (p *presence) look(ctx context.Context) error {
	if err := p.follow(ctx); err != nil {
		return err
	}
	now := time.Now()
	p.mutex.Lock()
	isDue := p.gate.acknowledgeable(now) > p.registration.Acknowledged || !now.Before(p.renewDue)
	p.mutex.Unlock()
	if isDue {
		if err := p.renew(ctx); err != nil {
			return err
		}
	}
	p.mutex.Lock()
	hasLapsed := p.gate.mustLook
	p.mutex.Unlock()
	if !hasLapsed {
		return nil
	}
	// What it read before may be long over.
	return p.follow(ctx)
}

func (p *presence) follow(ctx context.Context) error {
	cell, err := p.place.ReadCell(ctx, recordPlace)
	if err != nil {
		return err
	}
	var record SwitchRecord
	if cell != nil {
		if record, err = SwitchRecordFromText(cell.Text); err != nil {
			return err
		}
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	isNew := record.Epoch > p.gate.epoch || p.gate.mustLook
	p.gate.mustLook = false
	// A switch that goes back is not followed.
	if cell != nil && record.Epoch >= p.gate.epoch {
		p.gate.epoch, p.mode, p.seen = record.Epoch, record.Mode, cell.Version
		p.numbers = numbers{record.FrozenAt, record.IndexOffset}
	}
	if isNew {
		p.notify()
	}
	return nil
}

// renew acknowledges what may be acknowledged, in the same write.
func (p *presence) renew(ctx context.Context) error {
	if p.inDoubt {
		if err := p.resync(ctx); err != nil {
			return err
		}
	}
	if p.gone() {
		return p.namedGone()
	}
	asked := time.Now()
	next := p.registration
	p.mutex.Lock()
	next.Acknowledged = p.gate.acknowledgeable(asked)
	p.mutex.Unlock()
	next.Renewals++
	p.inDoubt = true // until the answer is there
	version, lost, current, err := p.place.WriteCell(ctx, registrationPlace(p.instance), next.Text(), p.version)
	if err != nil {
		return err
	}
	if lost {
		return p.adopt(current)
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.inDoubt, p.version, p.registration = false, version, next
	p.renewDue = asked.Add(p.settings.lease / renewalsALease)
	p.gate.renewed(asked, time.Now(), p.settings.lease)
	p.notify()
	return nil
}

// resync reads what is there after an answer was lost: it may be what was written, and may be an operator's word.
func (p *presence) resync(ctx context.Context) error {
	cell, err := p.place.ReadCell(ctx, registrationPlace(p.instance))
	if err != nil {
		return err
	}
	return p.adopt(cell)
}

func (p *presence) adopt(cell *Cell) error {
	if cell == nil {
		p.inDoubt, p.version = false, ""
		return nil
	}
	current, err := RegistrationFromText(cell.Text)
	if err != nil {
		return err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.inDoubt, p.version = false, cell.Version
	p.registration.Renewals = current.Renewals
	if current.GoneAt != nil {
		p.isGone = true
		p.notify()
	}
	return nil
}

func (p *presence) gone() bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.isGone
}

func (p *presence) namedGone() error {
	return &Error{Code: CodeNamedGone, Detail: p.instance}
}

// notify is called under the mutex.
func (p *presence) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
