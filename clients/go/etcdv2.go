package keyferry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
)

// EtcdV2 is the source of a migration, and may hold its switch.
type EtcdV2 struct {
	http *endpoints
	// switchKey is where the switch lies, if it lies here.
	switchKey string
}

// OpenEtcdV2 connects with the first call. switchKey is where the switch lies, if it lies here; "": `/_keyferry/switch`.
func OpenEtcdV2(options HTTPOptions, switchKey string) *EtcdV2 {
	if switchKey == "" {
		switchKey = "/_keyferry/switch"
	}
	return &EtcdV2{newEndpoints(options), switchKey}
}

type v2Node struct {
	Key           string   `json:"key"`
	Value         string   `json:"value"`
	Dir           bool     `json:"dir"`
	Nodes         []v2Node `json:"nodes"`
	ModifiedIndex uint64   `json:"modifiedIndex"`
}

type v2Answer struct {
	Node      *v2Node `json:"node"`
	PrevNode  *v2Node `json:"prevNode"`
	ErrorCode int     `json:"errorCode"`
	Message   string  `json:"message"`
	Cause     string  `json:"cause"`
}

// Of etcd's own errors, those that are outcomes.
const (
	v2KeyNotFound   = 100
	v2CompareFailed = 101
	v2NotADirectory = 104
	v2KeyExists     = 105
)

// Read is linearizable: it goes through raft. A directory is no record.
func (e *EtcdV2) Read(ctx context.Context, key string) (*SourceRecord, error) {
	answer, err := e.get(ctx, pathOf(key)+"?quorum=true")
	if err != nil || answer.ErrorCode != 0 {
		return nil, err
	}
	return v2Record(answer.Node), nil
}

// Write tells what was there before; a condition that did not hold is answered without it, so that is read once more.
func (e *EtcdV2) Write(ctx context.Context, key string, write Write, expect Expectation) (SourceAnswer, error) {
	if expect.Kind == AtVersion && !isIndex(expect.Version) {
		return e.unmet(ctx, key) // 0 is no condition at all, for the server
	}
	answer, err := e.write(ctx, key, write, expect)
	if err != nil {
		return SourceAnswer{}, err
	}
	if answer.ErrorCode != 0 {
		if write.Delete && expect.Kind == Any {
			return SourceAnswer{Met: true}, nil // what is not there is deleted
		}
		return e.unmet(ctx, key)
	}
	met := SourceAnswer{Met: true, Found: v2Record(answer.PrevNode)}
	if !write.Delete {
		met.Version = strconv.FormatUint(answer.Node.ModifiedIndex, 10)
	}
	return met, nil
}

// List asks for the deepest directory that holds all of the prefix: one answer is one state of the store.
func (e *EtcdV2) List(ctx context.Context, prefix string) ([]SourceRecord, error) {
	directory := prefix[:max(0, strings.LastIndex(prefix, "/"))]
	answer, err := e.get(ctx, pathOf(directory)+"/?recursive=true&quorum=true")
	if err != nil || answer.ErrorCode != 0 {
		return nil, err
	}
	var records []SourceRecord
	work := []v2Node{*answer.Node}
	for len(work) > 0 {
		node := work[len(work)-1]
		work = append(work[:len(work)-1], node.Nodes...)
		if record := v2Record(&node); record != nil && strings.HasPrefix(record.Key, prefix) {
			records = append(records, *record)
		}
	}
	sort.Slice(records, func(a, b int) bool { return records[a].Key < records[b].Key })
	return records, nil
}

// ReadCell is of the switch that lies here.
func (e *EtcdV2) ReadCell(ctx context.Context, name string) (*Cell, error) {
	found, err := e.Read(ctx, e.switchKey+"/"+name)
	if err != nil || found == nil {
		return nil, err
	}
	return &Cell{Text: string(found.Value), Version: found.Version}, nil
}

// WriteCell is of the switch that lies here.
func (e *EtcdV2) WriteCell(ctx context.Context, name, text, expected string) (string, bool, *Cell, error) {
	answer, err := e.Write(ctx, e.switchKey+"/"+name, Write{Value: []byte(text)}, cellExpectation(expected))
	if err != nil || answer.Met {
		return answer.Version, false, nil, err
	}
	if answer.Found == nil {
		return "", true, nil, nil
	}
	return "", true, &Cell{Text: string(answer.Found.Value), Version: answer.Found.Version}, nil
}

// RemoveCell is of the switch that lies here.
func (e *EtcdV2) RemoveCell(ctx context.Context, name, expected string) (bool, error) {
	answer, err := e.Write(ctx, e.switchKey+"/"+name, Write{Delete: true}, cellExpectation(expected))
	return !answer.Met, err
}

func cellExpectation(expected string) Expectation {
	if expected == "" {
		return Expectation{Kind: Absent}
	}
	return Expectation{Kind: AtVersion, Version: expected}
}

func (e *EtcdV2) unmet(ctx context.Context, key string) (SourceAnswer, error) {
	found, err := e.Read(ctx, key)
	if err != nil {
		// The write itself was answered: it did not happen.
		return SourceAnswer{}, &RefusedError{"etcd v2", "the condition did not hold, and what is there could not be read: " + err.Error()}
	}
	return SourceAnswer{Found: found}, nil
}

// get returns an answer whose ErrorCode is 0, or says that there is no such key.
func (e *EtcdV2) get(ctx context.Context, path string) (v2Answer, error) {
	found, err := e.http.read(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return v2Answer{}, err
	}
	return v2Parsed(found, v2KeyNotFound, v2NotADirectory)
}

func (e *EtcdV2) write(ctx context.Context, key string, write Write, expect Expectation) (v2Answer, error) {
	query := ""
	switch expect.Kind {
	case Absent:
		query = "?prevExist=false"
	case AtVersion:
		query = "?prevExist=true&prevIndex=" + expect.Version
		if write.Delete {
			query = "?prevIndex=" + expect.Version
		}
	}
	method, body := http.MethodDelete, ""
	if !write.Delete {
		method, body = http.MethodPut, "value="+escapeForm(write.Value)
		if write.TTLMs > 0 {
			body = fmt.Sprintf("ttl=%d&%s", ttlSeconds(write.TTLMs), body)
		}
	}
	found, err := e.http.send(ctx, method, pathOf(key)+query, "application/x-www-form-urlencoded", []byte(body))
	if err != nil {
		return v2Answer{}, err
	}
	return v2Parsed(found, v2KeyNotFound, v2CompareFailed, v2KeyExists)
}

// v2Parsed fails on what is no outcome. From 500 on the server does not say that nothing happened.
func v2Parsed(found reply, outcomes ...int) (v2Answer, error) {
	var answer v2Answer
	err := json.Unmarshal(found.body, &answer)
	if err == nil && found.status < 300 && answer.Node != nil {
		return answer, nil
	}
	for _, outcome := range outcomes {
		if err == nil && answer.ErrorCode == outcome {
			return answer, nil
		}
	}
	detail := fmt.Sprintf("%d %s %s", found.status, answer.Message, answer.Cause)
	if found.status >= 300 && found.status < 500 {
		return v2Answer{}, &RefusedError{"etcd v2", detail}
	}
	return v2Answer{}, fmt.Errorf("etcd v2 answered %s", detail)
}

func v2Record(node *v2Node) *SourceRecord {
	if node == nil || node.Dir || node.ModifiedIndex == 0 {
		return nil // a directory, or the root
	}
	return &SourceRecord{Key: node.Key, Value: []byte(node.Value), Version: strconv.FormatUint(node.ModifiedIndex, 10)}
}

func isIndex(version string) bool {
	index, err := strconv.ParseUint(version, 10, 64)
	return err == nil && index > 0
}

// pathOf percent-encodes every byte that is not unreserved (RFC 3986); the slashes between stay.
func pathOf(key string) string {
	var path strings.Builder
	path.WriteString("/v2/keys")
	for i := range len(key) {
		if c := key[i]; c == '/' || strings.IndexByte(unreserved, c) >= 0 {
			path.WriteByte(c)
		} else {
			fmt.Fprintf(&path, "%%%02X", c)
		}
	}
	return path.String()
}

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// escapeForm escapes only what a form gives a meaning; the server takes any other bytes as they are.
func escapeForm(value []byte) string {
	return strings.NewReplacer("%", "%25", "&", "%26", "+", "%2B", ";", "%3B").Replace(string(value))
}
