package keyferry

// Goal: this client speaks the protocol that docs/reference/wire-protocol.md describes, and does in each mode what keyferry's
// own client does. Method: the vectors that keyferry's own codecs and machines made.

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

type keyJSON struct {
	Text   *string `json:"text"`
	Base64 *string `json:"base64"`
}

func (k keyJSON) bytes(t *testing.T) string {
	t.Helper()
	if k.Text != nil {
		return *k.Text
	}
	decoded, err := base64.StdEncoding.DecodeString(*k.Base64)
	if err != nil {
		t.Fatal(err)
	}
	return string(decoded)
}

func readVectors(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "protocols", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

type wireVectors struct {
	SwitchRecords []struct {
		Name, Text string
		Value      SwitchRecord
	}
	Registrations []struct {
		Name, Text string
		Value      Registration
	}
	Readable []struct {
		Name, What, Text string
		Value            json.RawMessage
	}
	Unreadable  []struct{ Name, What, Text string }
	PlainSwitch []struct {
		Text   *string
		IsOver bool
	}
	PlacesAtASwitch []struct{ What, Instance, Place string }
	Tombstones      []struct {
		Epoch uint64
		Text  string
	}
	Numbers []struct {
		FrozenAt, IndexOffset *string
		// Of the token; or of which TokenAt is asked.
		Token   *Token
		Index   *uint64
		TokenAt *Token
	}
	ReadOrigins []struct {
		Text    string
		Version *string
	}
	EtcdV3 struct {
		ReservedPrefix, Migration string
		Keys                      []struct{ Key, Tombstone, Origin keyJSON }
	}
	EtcdV2 struct {
		Paths []struct {
			Key  keyJSON
			Path string
		}
		FormValues []struct{ Value, Escaped keyJSON }
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got  %#v\n want %#v", what, got, want)
	}
}

func TestReadsAndWritesTheBytesOfTheProtocol(t *testing.T) {
	var vectors wireVectors
	readVectors(t, "online-wire.json", &vectors)
	for _, each := range vectors.SwitchRecords {
		read, err := SwitchRecordFromText(each.Text)
		if err != nil {
			t.Errorf("%s: %v", each.Name, err)
		}
		equal(t, each.Name, read, each.Value)
		equal(t, each.Name, each.Value.Text(), each.Text)
	}
	for _, each := range vectors.Registrations {
		read, err := RegistrationFromText(each.Text)
		if err != nil {
			t.Errorf("%s: %v", each.Name, err)
		}
		equal(t, each.Name, read, each.Value)
		equal(t, each.Name, each.Value.Text(), each.Text)
	}
	for _, each := range vectors.Readable {
		var wantSwitch SwitchRecord
		var wantRegistration Registration
		var err error
		if each.What == "switch" {
			_ = json.Unmarshal(each.Value, &wantSwitch)
			var read SwitchRecord
			read, err = SwitchRecordFromText(each.Text)
			equal(t, each.Name, read, wantSwitch)
		} else {
			_ = json.Unmarshal(each.Value, &wantRegistration)
			var read Registration
			read, err = RegistrationFromText(each.Text)
			equal(t, each.Name, read, wantRegistration)
		}
		if err != nil {
			t.Errorf("%s: %v", each.Name, err)
		}
	}
	for _, each := range vectors.Unreadable {
		_, err := SwitchRecordFromText(each.Text)
		if each.What == "registration" {
			_, err = RegistrationFromText(each.Text)
		}
		if !HasCode(err, CodeSwitchUnreadable) {
			t.Errorf("a %s that is %s was taken: %v", each.What, each.Name, err)
		}
	}
	for _, each := range vectors.PlainSwitch {
		text := ""
		if each.Text != nil {
			text = *each.Text
		}
		equal(t, "the plain form "+text, PlainSwitchIsOver(text), each.IsOver)
	}
	for _, each := range vectors.Tombstones {
		equal(t, "a tombstone", tombstoneText(each.Epoch), each.Text)
	}
	for _, each := range vectors.Numbers {
		bridge := numbers{each.FrozenAt, each.IndexOffset}
		if each.Token != nil {
			index, ok := bridge.indexOf(*each.Token)
			equal(t, fmt.Sprintf("whether %v has a number", *each.Token), ok, each.Index != nil)
			if ok && each.Index != nil {
				equal(t, fmt.Sprintf("the number of %v", *each.Token), index, *each.Index)
			}
			continue
		}
		token, ok := bridge.tokenAt(*each.Index)
		equal(t, fmt.Sprintf("whether %d has a token", *each.Index), ok, each.TokenAt != nil)
		if ok && each.TokenAt != nil {
			equal(t, fmt.Sprintf("the token of %d", *each.Index), token, *each.TokenAt)
		}
	}
	for _, each := range vectors.ReadOrigins {
		want := ""
		if each.Version != nil {
			want = *each.Version
		}
		equal(t, "the origin "+each.Text, originFromText(each.Text), want)
	}
}

func TestLooksWhereTheProtocolSays(t *testing.T) {
	var vectors wireVectors
	readVectors(t, "online-wire.json", &vectors)
	for _, each := range vectors.PlacesAtASwitch {
		place := recordPlace
		if each.What == "registration" {
			place = registrationPlace(each.Instance)
		}
		equal(t, "the place of "+each.Instance, place, each.Place)
	}
	keys := newControlKeys(vectors.EtcdV3.ReservedPrefix, vectors.EtcdV3.Migration)
	for _, each := range vectors.EtcdV3.Keys {
		key := each.Key.bytes(t)
		equal(t, "the tombstone of "+key, keys.tombstone(key), each.Tombstone.bytes(t))
		equal(t, "the origin of "+key, keys.origin(key), each.Origin.bytes(t))
	}
	for _, each := range vectors.EtcdV2.Paths {
		equal(t, "the path of a key", pathOf(each.Key.bytes(t)), each.Path)
	}
	for _, each := range vectors.EtcdV2.FormValues {
		equal(t, "a value in a form", escapeForm([]byte(each.Value.bytes(t))), each.Escaped.bytes(t))
	}
}

type conductVectors struct {
	Modes []struct {
		Mode       Mode
		Reads      place
		Writes     place
		Tombstones bool
	}
	Operations []struct {
		Mode      Mode
		Operation struct {
			Kind  operationKind
			Write *struct {
				Kind, Value string
				TTLMs       *int64 `json:"ttlMs"`
			}
			Previous bool
			Expect   *Token
		}
		Source *struct{ Value, Version string }
		Target struct {
			Record *struct {
				Value, Version string
				CopiedFrom     *string
			}
			Tombstone bool
		}
		Asked  []string
		Result struct {
			Kind                      resultKind
			Token                     *Token
			Record, Previous, Current *struct {
				Value string
				Token Token
			}
		}
	}
}

func TestAsksInEachModeWhatTheOtherClientsAsk(t *testing.T) {
	var vectors conductVectors
	readVectors(t, "online-conduct.json", &vectors)
	equal(t, "the number of modes", len(vectors.Modes), len(modeTable))
	for _, each := range vectors.Modes {
		equal(t, string(each.Mode), modeTable[each.Mode], modeRules{each.Reads, each.Writes, each.Tombstones})
	}
	if len(vectors.Operations) < 100 {
		t.Fatalf("%d operations are too few to say anything", len(vectors.Operations))
	}
	for i, each := range vectors.Operations {
		stores := &scriptedStores{}
		if each.Source != nil {
			stores.source = &SourceRecord{Version: each.Source.Version, Value: []byte(each.Source.Value)}
		}
		if record := each.Target.Record; record != nil {
			stores.pair.Record = &TargetRecord{Version: record.Version, Value: []byte(record.Value)}
			if record.CopiedFrom != nil {
				stores.pair.Record.CopiedFrom = *record.CopiedFrom
			}
		}
		stores.pair.Tombstone = each.Target.Tombstone
		op := operation{kind: each.Operation.Kind, previous: each.Operation.Previous, expect: each.Operation.Expect}
		if write := each.Operation.Write; write != nil {
			op.write = Write{Delete: write.Kind == "delete", Value: []byte(write.Value)}
			if write.TTLMs != nil {
				op.write.TTLMs = *write.TTLMs
			}
		}
		conduct := conduct{
			ctx: context.Background(), source: scriptedSource{stores}, target: scriptedTarget{stores},
			rules: modeTable[each.Mode], key: "k",
		}
		found, err := conduct.run(op)
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("operation %d in %s", i, each.Mode)
		equal(t, what+", asked", stores.asked, append([]string(nil), each.Asked...))
		equal(t, what+", kind", found.kind, each.Result.Kind)
		equal(t, what+", token", found.token, each.Result.Token)
		want := each.Result.Record
		if want == nil {
			want = each.Result.Previous
		}
		if want == nil {
			want = each.Result.Current
		}
		if op.kind == writeKind && !op.previous {
			continue // what was there comes with every write, and is told only where it was asked for
		}
		if want == nil {
			equal(t, what+", record", found.record, (*Record)(nil))
			continue
		}
		equal(t, what+", record", found.record, &Record{Value: []byte(want.Value), Token: want.Token})
	}
}

// scriptedStores answer from one state that nothing changes, and note what was asked.
type scriptedStores struct {
	source *SourceRecord
	pair   Pair
	asked  []string
}

type scriptedSource struct{ *scriptedStores }
type scriptedTarget struct{ *scriptedStores }

func (s scriptedSource) Read(context.Context, string) (*SourceRecord, error) {
	s.note("S read")
	return s.source, nil
}

func (s scriptedSource) Write(_ context.Context, _ string, write Write, expect Expectation) (SourceAnswer, error) {
	s.note("S " + textOfWrite(write, expect))
	isMet := expect.Kind == Any || expect.Kind == Absent && s.source == nil ||
		expect.Kind == AtVersion && s.source != nil && s.source.Version == expect.Version
	answer := SourceAnswer{Met: isMet, Found: s.source}
	if isMet && !write.Delete {
		answer.Version = "8"
	}
	return answer, nil
}

func (s scriptedSource) List(context.Context, string) ([]SourceRecord, error) { return nil, nil }

func (s scriptedTarget) ComparesSwitch() bool { return true }

func (s scriptedTarget) Read(context.Context, string) (Pair, error) {
	s.note("T read")
	return s.pair, nil
}

func (s scriptedTarget) Write(_ context.Context, _ string, write Write, expect Expectation, tombstone TombstoneChange, _ Seen) (TargetAnswer, error) {
	text := "T " + textOfWrite(write, expect)
	if tombstone != LeaveTombstone {
		text += fmt.Sprintf(", %s tombstone", tombstone)
	}
	s.note(text)
	record := s.pair.Record
	isMet := expect.Kind == Any || expect.Kind == Absent && record == nil ||
		expect.Kind == Fresh && record == nil && !s.pair.Tombstone ||
		expect.Kind == AtVersion && record != nil && record.Version == expect.Version
	answer := TargetAnswer{Met: isMet, Found: s.pair}
	if isMet && !write.Delete {
		answer.Version = "21"
	}
	return answer, nil
}

func (s scriptedTarget) List(context.Context, string) ([]TargetEntry, error) { return nil, nil }

func (s *scriptedStores) note(text string) { s.asked = append(s.asked, text) }

func textOfWrite(write Write, expect Expectation) string {
	text := strings.Builder{}
	text.WriteString(map[bool]string{true: "delete", false: "put"}[write.Delete])
	if write.TTLMs > 0 {
		text.WriteString(" with TTL")
	}
	switch expect.Kind {
	case Any:
	case AtVersion:
		text.WriteString(" if at " + expect.Version)
	default:
		text.WriteString(" if " + string(expect.Kind))
	}
	return text.String()
}
