package keyferry

// Mode is what every instance does with reads and writes at a time.
type Mode string

// The modes of the ladder. Forward: legacy, draining, migrating, settled, normal. Back: draining, returning, legacy.
const (
	Legacy    Mode = "legacy"
	Draining  Mode = "draining"
	Migrating Mode = "migrating"
	Settled   Mode = "settled"
	Normal    Mode = "normal"
	Returning Mode = "returning"
)

type place string

const (
	inSource         place = "source"
	inTarget         place = "target"
	targetThenSource place = "target-then-source"
	held             place = "held"
)

type modeRules struct {
	reads, writes place
	// tombstones: a delete in the target leaves one, a put clears it.
	tombstones bool
}

var modeTable = map[Mode]modeRules{
	Legacy:    {reads: inSource, writes: inSource},
	Draining:  {reads: targetThenSource, writes: held, tombstones: true},
	Migrating: {reads: targetThenSource, writes: inTarget, tombstones: true},
	Settled:   {reads: inTarget, writes: inTarget, tombstones: true},
	Normal:    {reads: inTarget, writes: inTarget},
	Returning: {reads: inSource, writes: held},
}

func (mode Mode) known() bool {
	_, found := modeTable[mode]
	return found
}
