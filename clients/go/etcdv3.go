package keyferry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strings"
)

// EtcdV3 is the target of a migration, and may hold its switch.
type EtcdV3 struct {
	http *endpoints
	keys controlKeys
	// switchKey is where the switch lies, if it lies here: writes then compare its record. Else "".
	switchKey string
}

// EtcdV3Options is where things lie.
type EtcdV3Options struct {
	HTTPOptions
	// Migration is its name in keyferry's configuration.
	Migration string
	// ReservedPrefix is where keyferry keeps its own keys. Default `_keyferry/`.
	ReservedPrefix string
	// SwitchKey is where the switch lies, if it is in this very cluster, as a rule `_keyferry/switch`.
	SwitchKey string
}

// OpenEtcdV3 connects with the first call, to the JSON gateway under /v3 (etcd 3.4 and later).
func OpenEtcdV3(options EtcdV3Options) *EtcdV3 {
	reserved := options.ReservedPrefix
	if reserved == "" {
		reserved = "_keyferry/"
	}
	return &EtcdV3{newEndpoints(options.HTTPOptions), newControlKeys(reserved, options.Migration), options.SwitchKey}
}

// Bytes are base64 and 64-bit numbers are text in the gateway's JSON; zeros are left out.
type (
	v3KV struct {
		Key         []byte `json:"key"`
		Value       []byte `json:"value"`
		ModRevision string `json:"mod_revision"`
	}
	v3Range struct {
		Key      []byte `json:"key"`
		RangeEnd []byte `json:"range_end,omitempty"`
		Limit    string `json:"limit,omitempty"`
		Revision string `json:"revision,omitempty"`
		KeysOnly bool   `json:"keys_only,omitempty"`
	}
	v3Put struct {
		Key   []byte `json:"key"`
		Value []byte `json:"value"`
		Lease string `json:"lease,omitempty"`
	}
	v3Delete struct {
		Key []byte `json:"key"`
	}
	v3Op struct {
		Range  *v3Range  `json:"request_range,omitempty"`
		Put    *v3Put    `json:"request_put,omitempty"`
		Delete *v3Delete `json:"request_delete_range,omitempty"`
	}
	v3Compare struct {
		Key         []byte `json:"key"`
		Target      string `json:"target"`
		Result      string `json:"result"`
		ModRevision string `json:"mod_revision"`
	}
	v3Txn struct {
		Compare []v3Compare `json:"compare,omitempty"`
		Success []v3Op      `json:"success"`
		Failure []v3Op      `json:"failure,omitempty"`
	}
	v3RangeAnswer struct {
		KVs  []v3KV `json:"kvs"`
		More bool   `json:"more"`
	}
	v3TxnAnswer struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
		Succeeded bool `json:"succeeded"`
		Responses []struct {
			Range v3RangeAnswer `json:"response_range"`
		} `json:"responses"`
	}
)

// Read is one linearizable snapshot of key, tombstone and origin.
func (e *EtcdV3) Read(ctx context.Context, key string) (Pair, error) {
	answer, err := e.txn(ctx, v3Txn{Success: e.reads(key)}, true)
	if err != nil {
		return Pair{}, err
	}
	return pairOf(key, answer), nil
}

// Write is one transaction: the switch and the key as expected, then key and tombstone.
func (e *EtcdV3) Write(ctx context.Context, key string, write Write, expect Expectation, tombstone TombstoneChange, seen Seen) (TargetAnswer, error) {
	change, err := e.change(ctx, key, write)
	if err != nil {
		return TargetAnswer{}, err
	}
	reads := e.reads(key)
	txn := v3Txn{Success: append(reads, change), Failure: e.reads(key)}
	if e.switchKey != "" {
		txn.Compare = append(txn.Compare, modifiedAt(e.switchRecord(), seen.Version))
		txn.Failure = append(txn.Failure, v3Op{Range: &v3Range{Key: []byte(e.switchRecord()), KeysOnly: true}})
	}
	tomb := e.keys.tombstone(key)
	switch expect.Kind {
	case Absent:
		txn.Compare = append(txn.Compare, modifiedAt(key, ""))
	case Fresh:
		txn.Compare = append(txn.Compare, modifiedAt(key, ""), modifiedAt(tomb, ""))
	case AtVersion:
		txn.Compare = append(txn.Compare, modifiedAt(key, expect.Version))
	}
	switch tombstone {
	case ClearTombstone:
		txn.Success = append(txn.Success, v3Op{Delete: &v3Delete{[]byte(tomb)}})
	case WriteTombstone:
		txn.Success = append(txn.Success, v3Op{Put: &v3Put{Key: []byte(tomb), Value: []byte(tombstoneText(seen.Epoch))}})
	}
	answer, err := e.txn(ctx, txn, false)
	if err != nil {
		return TargetAnswer{}, err
	}
	found := TargetAnswer{Met: answer.Succeeded, Found: pairOf(key, answer)}
	switch {
	case answer.Succeeded && !write.Delete:
		found.Version = answer.Header.Revision
	case !answer.Succeeded && e.switchKey != "":
		found.EpochMoved = revisionOf(answer.Responses[3].Range) != seen.Version
	}
	return found, nil
}

// List reads records, tombstones and origins at one revision.
func (e *EtcdV3) List(ctx context.Context, prefix string) ([]TargetEntry, error) {
	revision := ""
	prefixes := []string{prefix, e.keys.tombstone(prefix), e.keys.origin(prefix)}
	var found [3][]v3KV
	for i, each := range prefixes {
		kvs, at, err := e.readAll(ctx, each, revision, i == 1)
		if err != nil {
			return nil, err
		}
		found[i], revision = kvs, at
	}
	origins := map[string]v3KV{}
	for _, kv := range found[2] {
		origins[strings.TrimPrefix(string(kv.Key), e.keys.origin(""))] = kv
	}
	entries := map[string]*TargetRecord{}
	for _, kv := range found[1] {
		entries[strings.TrimPrefix(string(kv.Key), e.keys.tombstone(""))] = nil
	}
	for _, kv := range found[0] {
		key := string(kv.Key)
		if !strings.HasPrefix(key, e.keys.reserved) {
			entries[key] = recordOf(kv, origins[key])
		}
	}
	listed := make([]TargetEntry, 0, len(entries))
	for key, record := range entries {
		listed = append(listed, TargetEntry{key, record})
	}
	sort.Slice(listed, func(a, b int) bool { return listed[a].Key < listed[b].Key })
	return listed, nil
}

// ReadCell is of the switch that lies here.
func (e *EtcdV3) ReadCell(ctx context.Context, name string) (*Cell, error) {
	read := v3Op{Range: &v3Range{Key: []byte(e.switchKey + "/" + name)}}
	answer, err := e.txn(ctx, v3Txn{Success: []v3Op{read}}, true)
	if err != nil {
		return nil, err
	}
	return cellOf(answer), nil
}

// WriteCell is of the switch that lies here.
func (e *EtcdV3) WriteCell(ctx context.Context, name, text, expected string) (string, bool, *Cell, error) {
	key := e.switchKey + "/" + name
	answer, err := e.changeCell(ctx, key, expected, v3Op{Put: &v3Put{Key: []byte(key), Value: []byte(text)}})
	if err != nil || answer.Succeeded {
		return answer.Header.Revision, false, nil, err
	}
	return "", true, cellOf(answer), nil
}

// RemoveCell is of the switch that lies here.
func (e *EtcdV3) RemoveCell(ctx context.Context, name, expected string) (bool, error) {
	key := e.switchKey + "/" + name
	answer, err := e.changeCell(ctx, key, expected, v3Op{Delete: &v3Delete{[]byte(key)}})
	return !answer.Succeeded, err
}

func (e *EtcdV3) changeCell(ctx context.Context, key, expected string, then v3Op) (v3TxnAnswer, error) {
	return e.txn(ctx, v3Txn{
		Compare: []v3Compare{modifiedAt(key, expected)},
		Success: []v3Op{then},
		Failure: []v3Op{{Range: &v3Range{Key: []byte(key)}}},
	}, false)
}

func (e *EtcdV3) switchRecord() string { return e.switchKey + "/" + recordPlace }

func (e *EtcdV3) reads(key string) []v3Op {
	return []v3Op{
		{Range: &v3Range{Key: []byte(key)}},
		{Range: &v3Range{Key: []byte(e.keys.tombstone(key)), KeysOnly: true}},
		{Range: &v3Range{Key: []byte(e.keys.origin(key))}},
	}
}

// change gives a put with a TTL a lease of its own: it ends when asked to, and not with those of others.
func (e *EtcdV3) change(ctx context.Context, key string, write Write) (v3Op, error) {
	if write.Delete {
		return v3Op{Delete: &v3Delete{[]byte(key)}}, nil
	}
	put := &v3Put{Key: []byte(key), Value: write.Value}
	if write.TTLMs > 0 {
		var granted struct {
			ID string `json:"ID"`
		}
		ttl := map[string]string{"TTL": fmt.Sprint(ttlSeconds(write.TTLMs))}
		if err := e.call(ctx, "/v3/lease/grant", ttl, &granted, false); err != nil {
			return v3Op{}, &RefusedError{"etcd v3", "no lease was granted, so nothing was written: " + err.Error()}
		}
		put.Lease = granted.ID
	}
	return v3Op{Put: put}, nil
}

func (e *EtcdV3) txn(ctx context.Context, txn v3Txn, isRead bool) (v3TxnAnswer, error) {
	var answer v3TxnAnswer
	err := e.call(ctx, "/v3/kv/txn", txn, &answer, isRead)
	return answer, err
}

const pageKeysMax = 500

// readAll reads a prefix at a revision, or at the one of now for "", page by page.
func (e *EtcdV3) readAll(ctx context.Context, prefix, revision string, keysOnly bool) ([]v3KV, string, error) {
	var all []v3KV
	end := prefixEnd(prefix)
	for start := []byte(prefix); ; {
		if len(start) == 0 {
			start = []byte{0}
		}
		read := v3Op{Range: &v3Range{Key: start, RangeEnd: end, Limit: fmt.Sprint(pageKeysMax), Revision: revision, KeysOnly: keysOnly}}
		answer, err := e.txn(ctx, v3Txn{Success: []v3Op{read}}, true)
		if err != nil {
			return nil, "", err
		}
		if revision == "" {
			revision = answer.Header.Revision
		}
		page := answer.Responses[0].Range
		all = append(all, page.KVs...)
		if !page.More {
			return all, revision, nil
		}
		start = append(append([]byte{}, page.KVs[len(page.KVs)-1].Key...), 0)
	}
}

// What a server says in so many words that it did not do: codes of gRPC.
var refusals = map[int]bool{
	3: true, 5: true, 7: true, 8: true, 9: true, 11: true, 12: true, 16: true,
}

func (e *EtcdV3) call(ctx context.Context, path string, request, answer any, isRead bool) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	send := e.http.send
	if isRead {
		send = e.http.read
	}
	found, err := send(ctx, http.MethodPost, path, "application/json", body)
	if err != nil {
		return err
	}
	if found.status == http.StatusOK {
		return json.Unmarshal(found.body, answer)
	}
	var failure struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Error   any    `json:"error"`
	}
	_ = json.Unmarshal(found.body, &failure)
	detail := fmt.Sprintf("%s answered %d: %s", path, found.status, strings.TrimSpace(string(found.body)))
	if refusals[failure.Code] {
		return &RefusedError{"etcd v3", detail}
	}
	return fmt.Errorf("etcd v3: %s", detail)
}

func modifiedAt(key, version string) v3Compare {
	if version == "" {
		version = "0"
	}
	return v3Compare{Key: []byte(key), Target: "MOD", Result: "EQUAL", ModRevision: version}
}

func revisionOf(found v3RangeAnswer) string {
	if len(found.KVs) == 0 {
		return ""
	}
	return found.KVs[0].ModRevision
}

func cellOf(answer v3TxnAnswer) *Cell {
	kvs := answer.Responses[0].Range.KVs
	if len(kvs) == 0 {
		return nil
	}
	return &Cell{Text: string(kvs[0].Value), Version: kvs[0].ModRevision}
}

func pairOf(key string, answer v3TxnAnswer) Pair {
	record, tombstone, origin := answer.Responses[0].Range, answer.Responses[1].Range, answer.Responses[2].Range
	pair := Pair{Tombstone: len(tombstone.KVs) > 0}
	if len(record.KVs) > 0 {
		var from v3KV
		if len(origin.KVs) > 0 {
			from = origin.KVs[0]
		}
		pair.Record = recordOf(record.KVs[0], from)
	}
	return pair
}

// recordOf takes an origin into account only while it has its record's revision: a later write ends it unseen.
func recordOf(kv, origin v3KV) *TargetRecord {
	record := &TargetRecord{Key: string(kv.Key), Value: kv.Value, Version: kv.ModRevision}
	if origin.ModRevision == kv.ModRevision {
		record.CopiedFrom = originFromText(string(origin.Value))
	}
	return record
}

// prefixEnd is the first key behind a prefix; a single zero byte means "to the last key".
func prefixEnd(prefix string) []byte {
	end := []byte(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return []byte{0}
}
