package keyferry

import "context"

// Write is one change of a key: a put of Value, or a delete.
type Write struct {
	Delete bool
	Value  []byte
	// TTLMs is the time after which the record ends; 0: it stays.
	TTLMs int64
}

// SourceRecord is a record as the source holds it.
type SourceRecord struct {
	Key, Version string
	Value        []byte
}

// TargetRecord is a record as the target holds it.
type TargetRecord struct {
	Key, Version string
	Value        []byte
	// CopiedFrom is the version that it has in the source, if keyferry copied it and nobody wrote it since; else "".
	CopiedFrom string
}

// Pair is a key and its tombstone, in one snapshot. A record that is there wins over the tombstone.
type Pair struct {
	Record    *TargetRecord
	Tombstone bool
}

// Expectation is the condition of a write: Any, Absent (no key), Fresh (of the target: neither key nor tombstone), or a
// version.
type Expectation struct {
	Kind    ExpectationKind
	Version string
}

// ExpectationKind tells the conditions of a write apart.
type ExpectationKind string

// The kinds of conditions.
const (
	Any       ExpectationKind = "any"
	Absent    ExpectationKind = "absent"
	Fresh     ExpectationKind = "fresh"
	AtVersion ExpectationKind = "version"
)

// TombstoneChange is what a write in the target does with the tombstone of its key.
type TombstoneChange string

// What becomes of a tombstone.
const (
	LeaveTombstone TombstoneChange = "leave"
	ClearTombstone TombstoneChange = "clear"
	WriteTombstone TombstoneChange = "write"
)

// Seen is what the switch said when an operation began. Version is "" when nothing was ever announced.
type Seen struct {
	Epoch   uint64
	Version string
}

// SourceAnswer is the outcome of a write in the source.
type SourceAnswer struct {
	Met bool
	// Version of a put that was met.
	Version string
	// Found is the record as it was right before, if met, or as it is, if not.
	Found *SourceRecord
}

// TargetAnswer is the outcome of a write in the target.
type TargetAnswer struct {
	Met bool
	// EpochMoved: the target compares the switch, and that is another one by now. Nothing was done.
	EpochMoved bool
	Version    string
	Found      Pair
}

// Source is the store that the application comes from. Reads are linearizable; an error other than RefusedError leaves a
// write's outcome unknown, so that nobody may repeat it.
type Source interface {
	Read(ctx context.Context, key string) (*SourceRecord, error)
	Write(ctx context.Context, key string, write Write, expect Expectation) (SourceAnswer, error)
	// List is in the order of bytes.
	List(ctx context.Context, prefix string) ([]SourceRecord, error)
}

// TargetEntry is a key that is there, has a tombstone, or both; Record is nil for a tombstone alone.
type TargetEntry struct {
	Key    string
	Record *TargetRecord
}

// Target is the store that the application goes to. Reads are linearizable.
type Target interface {
	Read(ctx context.Context, key string) (Pair, error)
	Write(ctx context.Context, key string, write Write, expect Expectation, tombstone TombstoneChange, seen Seen) (TargetAnswer, error)
	// List is one snapshot of records and tombstones, in the order of bytes.
	List(ctx context.Context, prefix string) ([]TargetEntry, error)
}

// Cell is a small text at a switch, with the store's token for this state of it.
type Cell struct{ Text, Version string }

// Switch holds small texts by name, each changed under a condition; reads are linearizable, and no version comes twice.
type Switch interface {
	ReadCell(ctx context.Context, name string) (*Cell, error)
	// WriteCell wants the version that was seen, or "" for none. lost: somebody else was first, and current is what is
	// there.
	WriteCell(ctx context.Context, name, text, expected string) (version string, lost bool, current *Cell, err error)
	RemoveCell(ctx context.Context, name, expected string) (lost bool, err error)
}
