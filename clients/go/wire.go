package keyferry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
)

// SwitchRecord says the mode of a migration to every instance. A controller writes it, compare-and-set.
type SwitchRecord struct {
	Migration string `json:"migration"`
	Mode      Mode   `json:"mode"`
	// HeldFrom is the mode in which writes go on if draining is given up; nil where nothing is held back.
	HeldFrom *Mode `json:"heldFrom"`
	// Committed is the only end that is left, if one is.
	Committed *Mode `json:"committed"`
	// Epoch grows by one with each announcement.
	Epoch       uint64  `json:"epoch"`
	AnnouncedAt string  `json:"announcedAt"`
	FrozenAt    *string `json:"frozenAt"`
	WatchFrom   *string `json:"watchFrom"`
	IndexOffset *string `json:"indexOffset"`
}

// Registration is what an instance leaves at the switch. Nothing drops it but the instance itself, when it leaves in good
// order: one that vanished could not be told from one that a barrier has to wait for.
type Registration struct {
	Instance string `json:"instance"`
	// Acknowledged is the highest epoch in which, or after which, all of its operations run. 0: it has not read the mode.
	Acknowledged uint64 `json:"acknowledged"`
	// Renewals counts up; whoever looks judges by a clock of its own whether it still does.
	Renewals uint64 `json:"renewals"`
	LeaseMs  uint64 `json:"leaseMs"`
	Since    string `json:"since"`
	// GoneAt is an operator's word. An instance that finds it in its own never serves again.
	GoneAt *string `json:"goneAt"`
}

const (
	switchFormat       = "keyferry.switch"
	registrationFormat = "keyferry.registration"
	formatVersion      = "1.0"
)

// SwitchRecordFromText fails on what is not keyferry's, or a newer keyferry's.
func SwitchRecordFromText(text string) (SwitchRecord, error) {
	var record SwitchRecord
	members, err := membersOf(text, switchFormat)
	if err == nil {
		err = json.Unmarshal([]byte(text), &record)
	}
	if err == nil && (members["migration"] == nil || !isCount(members["epoch"]) || !record.Mode.known()) {
		err = fmt.Errorf("it lacks a migration, an epoch or a mode that is known here")
	}
	if err != nil {
		return SwitchRecord{}, &Error{Code: CodeSwitchUnreadable, Detail: "the record of the switch", Cause: err}
	}
	return record, nil
}

// Text is the record's canonical form: members in order, no white space.
func (record SwitchRecord) Text() string { return canonical(switchFormat, record) }

// RegistrationFromText fails on what is not keyferry's, or a newer keyferry's.
func RegistrationFromText(text string) (Registration, error) {
	var registration Registration
	members, err := membersOf(text, registrationFormat)
	if err == nil {
		err = json.Unmarshal([]byte(text), &registration)
	}
	if err == nil && (members["instance"] == nil || !isCount(members["acknowledged"]) ||
		!isCount(members["renewals"]) || !isCount(members["leaseMs"])) {
		err = fmt.Errorf("it lacks an instance or a count")
	}
	if err != nil {
		return Registration{}, &Error{Code: CodeSwitchUnreadable, Detail: "a registration", Cause: err}
	}
	return registration, nil
}

// Text is the registration's canonical form.
func (registration Registration) Text() string { return canonical(registrationFormat, registration) }

// membersOf reads a document of ours as far as every version of it goes.
func membersOf(text, format string) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return nil, err
	}
	var found, version string
	if json.Unmarshal(members["format"], &found) != nil || found != format {
		return nil, fmt.Errorf("it is no %s", format)
	}
	_ = json.Unmarshal(members["formatVersion"], &version)
	if major, _, _ := strings.Cut(version, "."); major != "1" {
		return nil, fmt.Errorf("its form %q is newer than this client", version)
	}
	return members, nil
}

func isCount(member json.RawMessage) bool {
	count, err := strconv.ParseUint(string(member), 10, 64)
	return err == nil && count <= 1<<53-1
}

// canonical writes members sorted by name, as RFC 8785 has it; encoding/json sorts the members of maps.
func canonical(format string, document any) string {
	plain, err := json.Marshal(document)
	if err != nil {
		panic(err) // strings and numbers alone
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(plain, &members); err != nil {
		panic(err)
	}
	members["format"], members["formatVersion"] = quoted(format), quoted(formatVersion)
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(members); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

func quoted(text string) json.RawMessage { return json.RawMessage(strconv.Quote(text)) }

// PlainSwitchIsOver reads the form of etcd's own guide: a key that turns `true`.
func PlainSwitchIsOver(text string) bool { return strings.TrimSpace(text) == "true" }

// The places of the texts at a switch, below its key.
const recordPlace = "record"

func registrationPlace(instance string) string {
	return "instances/" + strings.ReplaceAll(percentEncoded(instance), ".", "%2E")
}

// percentEncoded leaves letters, digits and -_.!~*'() as they are, as encodeURIComponent of JavaScript does.
func percentEncoded(text string) string {
	escaped := strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
	return strings.NewReplacer("%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*", "%7E", "~").Replace(escaped)
}

// tombstoneText is for people: a tombstone counts by being there.
func tombstoneText(epoch uint64) string { return "t1 " + strconv.FormatUint(epoch, 10) }

// originFromText is the version that a record had in the source; "" for what this client does not know.
func originFromText(text string) string {
	version, isOrigin := strings.CutPrefix(text, "o1 ")
	if !isOrigin || strings.ContainsAny(version, "\r\n\u2028\u2029") {
		return ""
	}
	return version
}

// controlKeys says where keyferry's keys lie beside the application's, in etcd v3.
type controlKeys struct{ reserved, base string }

func newControlKeys(reservedPrefix, migration string) controlKeys {
	return controlKeys{reservedPrefix, reservedPrefix + percentEncoded(migration) + "/"}
}

func (keys controlKeys) tombstone(key string) string { return keys.base + "tomb/" + key }
func (keys controlKeys) origin(key string) string    { return keys.base + "from/" + key }

// ttlSeconds rounds up: a record must not end before it was to end.
func ttlSeconds(ttlMs int64) int64 { return max(1, int64(math.Ceil(float64(ttlMs)/1000))) }
