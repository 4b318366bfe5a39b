package keyferry

import "strconv"

// numbers is one row of numbers over both stores, for applications that compare the indexes of etcd v2:
//
//	source      … 1040 1041 1042 │                          frozen at 1042; a copied record keeps its number
//	target                    77 │ 78    79    80           its head at that barrier was 77
//	numbers     … 1040 1041 1042 │ 1043  1044  1045         offset 965, fixed there
//
// Every number of the source is at or below the freeze and every one of the target above it, so they only grow, and a
// number leads back to the one token that had it. Both texts are the switch's; nil: not announced.
type numbers struct {
	frozenAt, indexOffset *string
}

// indexOf is false where there is no number: versions are none, no offset was published, or keyferry wrote the record into
// the source while it was frozen.
func (n numbers) indexOf(token Token) (uint64, bool) {
	version, ok := numberOf(&token.Version)
	if !ok {
		return 0, false
	}
	if token.Store == "source" {
		freeze, isFrozen := numberOf(n.frozenAt)
		return version, !isFrozen || version <= freeze
	}
	offset, ok := numberOf(n.indexOffset)
	if !ok {
		return 0, false
	}
	return version + offset, true
}

// tokenAt is false where it cannot be told: after a rollback a number may have been given in both stores.
func (n numbers) tokenAt(index uint64) (Token, bool) {
	if index == 0 {
		return Token{}, false
	}
	ofSource := Token{Store: "source", Version: strconv.FormatUint(index, 10)}
	if n.indexOffset == nil {
		return ofSource, true
	}
	freeze, isFrozen := numberOf(n.frozenAt)
	offset, ok := numberOf(n.indexOffset)
	if !isFrozen || !ok {
		return Token{}, false
	}
	if index <= freeze {
		return ofSource, true
	}
	if index <= offset {
		return Token{}, false
	}
	return Token{Store: "target", Version: strconv.FormatUint(index-offset, 10)}, true
}

// The sum of two stays a number: stores that count do not come near.
func numberOf(text *string) (uint64, bool) {
	if text == nil {
		return 0, false
	}
	number, err := strconv.ParseUint(*text, 10, 63)
	return number, err == nil
}
