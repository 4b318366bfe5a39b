package keyferry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync/atomic"
	"time"
)

// Options is what a client is given, and what it assumes where it is given nothing.
type Options struct {
	// Name of this process, for people. Each start registers under a name of its own made from it.
	Name   string
	Switch Switch
	// Source is the store that the application comes from, Target the one that it goes to.
	Source Source
	Target Target
	// Lease is for how long a registration counts without being renewed. Default 15 s.
	Lease time.Duration
	// RequestLife is the longest time after which a request that was sent can still take effect in either store: its own
	// timeout and what stands between. Too short, and a write that nobody waited for is lost. Default 30 s.
	RequestLife time.Duration
	// WaitMax is how long an operation waits where its mode holds it back. Default 30 s.
	WaitMax time.Duration
	// Poll is how often the switch is read; twenty times as often while writes are held back. Default 250 ms.
	Poll time.Duration
	// OnProblem hears what the background tells nobody else: a switch that cannot be read. Default: nobody.
	OnProblem func(error)
}

type settings struct {
	lease, requestLife, waitMax, poll time.Duration
	onProblem                         func(error)
}

// Client is safe for use by several goroutines.
type Client struct {
	presence *presence
	source   Source
	target   Target
	waitMax  time.Duration
	isClosed atomic.Bool
}

// PutOptions of one put.
type PutOptions struct {
	// TTL after which the record ends, rounded up to whole seconds. Default: it stays.
	TTL time.Duration
}

// SwapKind tells the outcomes of a comparison apart.
type SwapKind string

// The outcomes of a comparison.
const (
	Written SwapKind = "written"
	// Unmet: something else is there, or nothing. Nothing was written.
	Unmet SwapKind = "unmet"
	// Outdated: whether the record changed cannot be told any more (after a rollback, or in `normal`). Nothing was
	// written; read again.
	Outdated SwapKind = "outdated"
)

// Swap is the outcome of a comparison.
type Swap struct {
	Kind SwapKind
	// Token of a put that was written.
	Token *Token
	// Current is what is there, if unmet; nil: nothing.
	Current *Record
}

// ListedRecord is a record of a list.
type ListedRecord struct {
	Key string
	Record
}

// Status is for health checks.
type Status struct {
	Instance string
	Mode     Mode
	Epoch    uint64
	// Serving is false past the lease: operations wait.
	Serving bool
}

// Open registers at the switch and serves from then on.
func Open(ctx context.Context, options Options) (*Client, error) {
	unique := make([]byte, 8)
	if _, err := rand.Read(unique); err != nil {
		return nil, err
	}
	s := settings{
		lease:       orDefault(options.Lease, 15*time.Second),
		requestLife: orDefault(options.RequestLife, 30*time.Second),
		waitMax:     orDefault(options.WaitMax, 30*time.Second),
		poll:        orDefault(options.Poll, 250*time.Millisecond),
		onProblem:   options.OnProblem,
	}
	if s.onProblem == nil {
		s.onProblem = func(error) {}
	}
	instance := options.Name + "." + hex.EncodeToString(unique)
	client := &Client{
		presence: newPresence(options.Switch, instance, options.Target.ComparesSwitch(), s),
		source:   options.Source,
		target:   options.Target,
		waitMax:  s.waitMax,
	}
	if err := client.presence.start(ctx); err != nil {
		return nil, err
	}
	return client, nil
}

// Status tells what this instance does now.
func (c *Client) Status() Status {
	mode, epoch, serving := c.presence.status()
	return Status{Instance: c.presence.instance, Mode: mode, Epoch: epoch, Serving: serving}
}

// Get returns nil where nothing is.
func (c *Client) Get(ctx context.Context, key string) (*Record, error) {
	found, err := c.run(ctx, key, operation{kind: getKind})
	return found.record, err
}

// Put writes over whatever is there.
func (c *Client) Put(ctx context.Context, key string, value []byte, options PutOptions) (Token, error) {
	token, _, err := c.put(ctx, key, value, options, false)
	return token, err
}

// PutAndGet besides returns the record as it was right before; nil: there was none.
func (c *Client) PutAndGet(ctx context.Context, key string, value []byte, options PutOptions) (Token, *Record, error) {
	return c.put(ctx, key, value, options, true)
}

func (c *Client) put(ctx context.Context, key string, value []byte, options PutOptions, previous bool) (Token, *Record, error) {
	found, err := c.run(ctx, key, operation{kind: writeKind, write: putOf(value, options), previous: previous})
	if err != nil {
		return Token{}, nil, err
	}
	return *found.token, found.record, nil
}

// Delete is done as well where nothing is.
func (c *Client) Delete(ctx context.Context, key string) error {
	_, err := c.run(ctx, key, operation{kind: writeKind, write: Write{Delete: true}})
	return err
}

// DeleteAndGet returns the record as it was right before; nil: there was none.
func (c *Client) DeleteAndGet(ctx context.Context, key string) (*Record, error) {
	found, err := c.run(ctx, key, operation{kind: writeKind, write: Write{Delete: true}, previous: true})
	return found.record, err
}

// CompareAndSwap writes only over the state that expected names; nil: only where nothing is.
func (c *Client) CompareAndSwap(ctx context.Context, key string, expected *Token, value []byte, options PutOptions) (Swap, error) {
	return c.compare(ctx, key, operation{kind: compareKind, expect: expected, write: putOf(value, options)})
}

// CompareAndDelete deletes only the state that expected names.
func (c *Client) CompareAndDelete(ctx context.Context, key string, expected Token) (Swap, error) {
	return c.compare(ctx, key, operation{kind: compareKind, expect: &expected, write: Write{Delete: true}})
}

func (c *Client) compare(ctx context.Context, key string, op operation) (Swap, error) {
	found, err := c.run(ctx, key, op)
	if err != nil {
		return Swap{}, err
	}
	return Swap{Kind: SwapKind(found.kind), Token: found.token, Current: found.record}, nil
}

// List returns the records whose keys begin with a prefix, in the order of their bytes. Each is as a read of its key would
// have found it while the list ran; the list as a whole is no snapshot. It is held in memory as a whole.
func (c *Client) List(ctx context.Context, prefix string) ([]ListedRecord, error) {
	started, err := c.beginWithin(ctx, time.Now().Add(c.waitMax))
	if err != nil {
		return nil, err
	}
	listed, err := listIn(ctx, c.source, c.target, prefix, modeTable[started.mode].reads)
	if !c.presence.end(started.operation, true) && err == nil {
		return nil, c.notServing()
	}
	return listed, err
}

// IndexOf is the number of a record's state, for applications that compare the indexes of etcd v2: numbers go on growing in
// the target, and a copied record keeps its own. False where it has none: read again. After a rollback they are those of
// the source once more, which may be lower.
func (c *Client) IndexOf(token Token) (uint64, bool) {
	return c.presence.announcedNumbers().indexOf(token)
}

// TokenAt is the token of a state by its number, for a comparison, as prevIndex was in etcd v2; false: it cannot be told any
// more, read again.
func (c *Client) TokenAt(index uint64) (Token, bool) {
	return c.presence.announcedNumbers().tokenAt(index)
}

// Close waits for what is under way and leaves the switch.
func (c *Client) Close(ctx context.Context) error {
	if c.isClosed.Swap(true) {
		return nil
	}
	return c.presence.leave(ctx)
}

// run takes one operation from its beginning to its end. A request that failed is never repeated here: a write may have
// happened, and stays open until it can no longer.
func (c *Client) run(ctx context.Context, key string, op operation) (result, error) {
	until := time.Now().Add(c.waitMax)
	for {
		changes := c.presence.changes()
		started, err := c.beginWithin(ctx, until)
		if err != nil {
			return result{}, err
		}
		ended, err := c.runOnce(ctx, key, op, started)
		if err != nil {
			return result{}, err
		}
		if ended.kind == resultRestart {
			c.presence.lookNow()
		} else if ended.kind != resultHeld {
			return ended, nil
		}
		if err := waitFor(ctx, changes, until); err != nil {
			return result{}, err
		}
		if !time.Now().Before(until) {
			return result{}, &Error{Code: CodeWriteHeld, Detail: key + " in " + string(started.mode)}
		}
	}
}

func (c *Client) runOnce(ctx context.Context, key string, op operation, started *begun) (result, error) {
	conduct := conduct{ctx: ctx, source: c.source, target: c.target, rules: modeTable[started.mode], seen: started.seen, key: key}
	ended, err := conduct.run(op)
	if err != nil {
		known := !conduct.writing || neverHappened(err)
		c.presence.end(started.operation, known)
		if known {
			return result{}, err
		}
		return result{}, &Error{Code: CodeOutcomeUnknown, Detail: key, Cause: err}
	}
	isCertain := c.presence.end(started.operation, true)
	if isCertain || ended.kind == resultHeld || ended.kind == resultRestart {
		return ended, nil
	}
	if op.kind == getKind {
		return result{}, c.notServing()
	}
	return result{}, &Error{Code: CodeOutcomeUnknown, Detail: key + ": it was answered past the lease"}
}

// beginWithin begins as soon as the lease allows it.
func (c *Client) beginWithin(ctx context.Context, until time.Time) (*begun, error) {
	for {
		changes := c.presence.changes()
		if c.isClosed.Load() {
			return nil, c.notServing()
		}
		started, err := c.presence.begin()
		if started != nil || err != nil {
			return started, err
		}
		if !time.Now().Before(until) {
			return nil, c.notServing()
		}
		if err := waitFor(ctx, changes, until); err != nil {
			return nil, err
		}
	}
}

func (c *Client) notServing() error {
	return &Error{Code: CodeNotServing, Detail: c.presence.instance}
}

func waitFor(ctx context.Context, changes <-chan struct{}, until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err() // nothing was begun
	case <-changes:
	case <-timer.C:
	}
	return nil
}

func putOf(value []byte, options PutOptions) Write {
	// A TTL below a millisecond is still one.
	ttlMs := (options.TTL + time.Millisecond - 1) / time.Millisecond
	return Write{Value: value, TTLMs: int64(ttlMs)}
}

func orDefault(given, otherwise time.Duration) time.Duration {
	if given == 0 {
		return otherwise
	}
	return given
}
