package keyferry

import "context"

// listIn is the reads of all keys: the target's snapshot first, and over the source, less the tombstones.
func listIn(ctx context.Context, source Source, target Target, prefix string, reads place) ([]ListedRecord, error) {
	var over []TargetEntry
	var under []SourceRecord
	var err error
	if reads != inSource {
		if over, err = target.List(ctx, prefix); err != nil {
			return nil, err
		}
	}
	if reads != inTarget {
		if under, err = source.List(ctx, prefix); err != nil {
			return nil, err
		}
	}
	return mergeLists(over, under), nil
}

// mergeLists wants both sides in the order of bytes, no key twice.
func mergeLists(over []TargetEntry, under []SourceRecord) []ListedRecord {
	var merged []ListedRecord
	for len(over) > 0 || len(under) > 0 {
		if len(over) == 0 || len(under) > 0 && under[0].Key < over[0].Key {
			merged = append(merged, ListedRecord{under[0].Key, *ofSource(&under[0])})
			under = under[1:]
			continue
		}
		if len(under) > 0 && under[0].Key == over[0].Key {
			under = under[1:]
		}
		if record := over[0].Record; record != nil {
			merged = append(merged, ListedRecord{over[0].Key, *ofTarget(record)})
		}
		over = over[1:]
	}
	return merged
}
