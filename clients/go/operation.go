package keyferry

import "context"

// Token names one state of a record, to compare with later. One that keyferry copied keeps the token of the source.
type Token struct {
	Store   string `json:"store"`
	Version string `json:"version"`
}

// Record is a record as it was at one moment.
type Record struct {
	Value []byte
	Token Token
}

type operationKind string

const (
	getKind     operationKind = "get"
	writeKind   operationKind = "write"
	compareKind operationKind = "compare"
)

type operation struct {
	kind  operationKind
	write Write
	// previous: the result is to hold the record as it was before.
	previous bool
	// expect of a compare; nil: only where nothing is.
	expect *Token
}

type resultKind string

const (
	resultRead     resultKind = "read"
	resultWritten  resultKind = "written"
	resultUnmet    resultKind = "unmet"
	resultOutdated resultKind = "outdated"
	// The mode lets no write begin.
	resultHeld resultKind = "held"
	// The switch had moved, and nothing was done.
	resultRestart resultKind = "restart"
)

type result struct {
	kind   resultKind
	token  *Token
	record *Record
}

// conduct is one operation in one mode: what is asked of which store, one request after the other.
type conduct struct {
	ctx    context.Context
	source Source
	target Target
	rules  modeRules
	seen   Seen
	key    string
	// writing: a write was sent and not answered, so its outcome is unknown.
	writing bool
}

func (c *conduct) run(op operation) (result, error) {
	if op.kind == getKind {
		record, err := c.get()
		return result{kind: resultRead, record: record}, err
	}
	if c.rules.writes == held {
		return result{kind: resultHeld}, nil
	}
	if op.kind == writeKind {
		return c.change(op)
	}
	if c.rules.writes == inSource {
		return c.compareInSource(op)
	}
	return c.compareInTarget(op)
}

func (c *conduct) get() (*Record, error) {
	if c.rules.reads == inSource {
		found, err := c.source.Read(c.ctx, c.key)
		return ofSource(found), err
	}
	pair, err := c.target.Read(c.ctx, c.key)
	if err != nil || pair.Record != nil || pair.Tombstone || c.rules.reads == inTarget {
		return ofTarget(pair.Record), err
	}
	found, err := c.source.Read(c.ctx, c.key)
	if err != nil || found != nil {
		return ofSource(found), err
	}
	// In neither, one after the other, does not mean that it was ever gone: the target's word is the last.
	pair, err = c.target.Read(c.ctx, c.key)
	return ofTarget(pair.Record), err
}

func (c *conduct) change(op operation) (result, error) {
	if c.rules.writes == inSource {
		answer, err := c.writeSource(op.write, Expectation{Kind: Any})
		if err != nil {
			return result{}, err
		}
		return written("source", answer.Version, ofSource(answer.Found)), nil
	}
	var before *SourceRecord
	if op.previous && c.rules.reads == targetThenSource {
		// Before the write: afterwards it may have been carried back there.
		found, err := c.source.Read(c.ctx, c.key)
		if err != nil {
			return result{}, err
		}
		before = found
	}
	answer, err := c.writeTarget(op.write, Expectation{Kind: Any})
	if err != nil || answer.EpochMoved {
		return result{kind: resultRestart}, err
	}
	previous := ofTarget(answer.Found.Record)
	if previous == nil && !answer.Found.Tombstone {
		previous = ofSource(before)
	}
	return written("target", answer.Version, previous), nil
}

func (c *conduct) compareInSource(op operation) (result, error) {
	expect := Expectation{Kind: Absent}
	if op.expect != nil {
		if op.expect.Store == "target" {
			return result{kind: resultOutdated}, nil
		}
		expect = Expectation{Kind: AtVersion, Version: op.expect.Version}
	}
	answer, err := c.writeSource(op.write, expect)
	if err != nil || !answer.Met {
		return result{kind: resultUnmet, record: ofSource(answer.Found)}, err
	}
	return written("source", answer.Version, nil), nil
}

func (c *conduct) compareInTarget(op operation) (result, error) {
	if op.expect != nil && op.expect.Store == "target" {
		return c.compareTargetVersion(op)
	}
	if op.expect == nil && c.rules.reads == inTarget {
		answer, err := c.writeTarget(op.write, Expectation{Kind: Absent})
		return c.orPair(op, answer, err)
	}
	pair, err := c.target.Read(c.ctx, c.key)
	if err != nil {
		return result{}, err
	}
	return c.comparePair(op, pair, c.rules.reads == targetThenSource)
}

// compareTargetVersion is for a token of the target: it says all by itself.
func (c *conduct) compareTargetVersion(op operation) (result, error) {
	answer, err := c.writeTarget(op.write, Expectation{Kind: AtVersion, Version: op.expect.Version})
	switch {
	case err != nil || answer.EpochMoved:
		return result{kind: resultRestart}, err
	case answer.Met:
		return written("target", answer.Version, nil), nil
	case answer.Found.Record == nil && !answer.Found.Tombstone,
		answer.Found.Record != nil && answer.Found.Record.CopiedFrom != "":
		// A copy never follows what an application wrote there: the target was cleared since, by a rollback.
		return result{kind: resultOutdated}, nil
	}
	return result{kind: resultUnmet, record: ofTarget(answer.Found.Record)}, nil
}

// comparePair goes on from what the target holds, for a token of the source or for "nothing is there".
func (c *conduct) comparePair(op operation, pair Pair, mayFallBack bool) (result, error) {
	if record := pair.Record; record != nil {
		if op.expect != nil && record.CopiedFrom == op.expect.Version {
			answer, err := c.writeTarget(op.write, Expectation{Kind: AtVersion, Version: record.Version})
			return c.orPair(op, answer, err)
		}
		if op.expect != nil && !c.rules.tombstones {
			return result{kind: resultOutdated}, nil // without marks nobody can tell a copy from a later record
		}
		return result{kind: resultUnmet, record: ofTarget(record)}, nil
	}
	if mayFallBack && !pair.Tombstone {
		return c.compareFallenBack(op)
	}
	if op.expect != nil {
		return result{kind: resultUnmet}, nil
	}
	answer, err := c.writeTarget(op.write, Expectation{Kind: Absent})
	return c.orPair(op, answer, err)
}

// compareFallenBack compares in the source, which is frozen, and then creates in the target.
func (c *conduct) compareFallenBack(op operation) (result, error) {
	found, err := c.source.Read(c.ctx, c.key)
	if err != nil {
		return result{}, err
	}
	isExpected := found == nil && op.expect == nil ||
		found != nil && op.expect != nil && found.Version == op.expect.Version
	if isExpected {
		answer, err := c.writeTarget(op.write, Expectation{Kind: Fresh})
		return c.orPair(op, answer, err)
	}
	if found != nil {
		return result{kind: resultUnmet, record: ofSource(found)}, nil
	}
	pair, err := c.target.Read(c.ctx, c.key)
	if err != nil {
		return result{}, err
	}
	return c.comparePair(op, pair, false)
}

// orPair takes a write that was met for the end, and else goes on from what was found: a loser looks again.
func (c *conduct) orPair(op operation, answer TargetAnswer, err error) (result, error) {
	switch {
	case err != nil || answer.EpochMoved:
		return result{kind: resultRestart}, err
	case answer.Met:
		return written("target", answer.Version, nil), nil
	}
	return c.comparePair(op, answer.Found, c.rules.reads == targetThenSource)
}

func (c *conduct) writeSource(write Write, expect Expectation) (SourceAnswer, error) {
	c.writing = true
	answer, err := c.source.Write(c.ctx, c.key, write, expect)
	c.writing = err != nil
	return answer, err
}

// writeTarget has a put with a TTL write the tombstone too: once its lease has ended, nothing may fall back.
func (c *conduct) writeTarget(write Write, expect Expectation) (TargetAnswer, error) {
	tombstone := LeaveTombstone
	if c.rules.tombstones {
		tombstone = ClearTombstone
		if write.Delete || write.TTLMs > 0 {
			tombstone = WriteTombstone
		}
	}
	c.writing = true
	answer, err := c.target.Write(c.ctx, c.key, write, expect, tombstone, c.seen)
	c.writing = err != nil // once answered it is in no doubt, whatever fails later
	return answer, err
}

func written(store, version string, previous *Record) result {
	if version == "" {
		return result{kind: resultWritten, record: previous}
	}
	return result{kind: resultWritten, token: &Token{Store: store, Version: version}, record: previous}
}

func ofSource(found *SourceRecord) *Record {
	if found == nil {
		return nil
	}
	return &Record{Value: found.Value, Token: Token{Store: "source", Version: found.Version}}
}

func ofTarget(found *TargetRecord) *Record {
	if found == nil {
		return nil
	}
	if found.CopiedFrom != "" {
		return &Record{Value: found.Value, Token: Token{Store: "source", Version: found.CopiedFrom}}
	}
	return &Record{Value: found.Value, Token: Token{Store: "target", Version: found.Version}}
}
