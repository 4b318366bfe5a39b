package keyferry

// Goal: an instance is there before it serves, acknowledges no mode too early, and says what it does not know.
// Method: the gate by its edges; the client on a switch and stores in memory.

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

const patience = time.Minute

func TestGateStartsNothingPastItsLease(t *testing.T) {
	now := time.Now()
	g := gate{open: map[*openOperation]struct{}{}}
	if g.begin(now) != nil {
		t.Error("it began without a lease")
	}
	g.renewed(now, now, time.Second)
	if g.begin(now) != nil {
		t.Error("it began before it had read the switch")
	}
	g.mustLook = false
	running := g.begin(now.Add(time.Second - 1))
	if running == nil {
		t.Fatal("it did not begin within its lease")
	}
	if g.begin(now.Add(time.Second)) != nil {
		t.Error("it began when its lease had just ended")
	}
	if g.end(running, true, now.Add(time.Second), time.Minute) {
		t.Error("what ended past the lease was told as certain")
	}
}

func TestGateDoubtsWhatRanWhileItsLeaseWasOver(t *testing.T) {
	now := time.Now()
	g := gate{open: map[*openOperation]struct{}{}}
	g.renewed(now, now, time.Second)
	g.mustLook = false
	running := g.begin(now)
	// Asked for in time, and answered too late: nobody knows when it took effect.
	g.renewed(now.Add(time.Second/2), now.Add(time.Second), time.Second)
	if g.end(running, true, now.Add(time.Second+1), time.Minute) {
		t.Error("a renewal made what ran before it certain")
	}
	if g.begin(now.Add(time.Second)) != nil {
		t.Error("it began before it had read the switch again")
	}
	g.mustLook = false
	if next := g.begin(now.Add(time.Second)); !g.end(next, true, now.Add(time.Second+1), time.Minute) {
		t.Error("what began after the renewal was doubted")
	}
}

func TestGateAcknowledgesWhatEverythingRunsIn(t *testing.T) {
	now := time.Now()
	g := gate{epoch: 3, open: map[*openOperation]struct{}{}}
	g.renewed(now, now, time.Hour)
	g.mustLook = false
	old := g.begin(now)
	g.epoch = 4
	equal(t, "with one of epoch 3 running", g.acknowledgeable(now), uint64(3))
	g.end(old, false, now, time.Minute)
	equal(t, "with one of epoch 3 unknown", g.acknowledgeable(now.Add(time.Minute-1)), uint64(3))
	equal(t, "after the longest life of a request", g.acknowledgeable(now.Add(time.Minute)), uint64(4))
}

func TestRegistersBeforeItReadsTheMode(t *testing.T) {
	place := newMemorySwitch(record(Settled, 7))
	client := open(t, place, &scriptedStores{})
	first, second := place.text(client.Status().Instance, 0), place.text(client.Status().Instance, 1)
	equal(t, "at first", first.Acknowledged, uint64(0))
	equal(t, "then", second.Acknowledged, uint64(7))
	equal(t, "its word that the target refuses it", second.ComparesSwitch, true)
	equal(t, "what was done", place.done()[:3], []string{"write registration", "read record", "write registration"})
	equal(t, "its mode", client.Status().Mode, Settled)
	if err := client.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	equal(t, "left behind", len(place.instances()), 0)
}

func TestWritesWaitWhileTheModeHoldsThem(t *testing.T) {
	place := newMemorySwitch(record(Draining, 2))
	stores := &scriptedStores{}
	client := open(t, place, stores)
	done := make(chan error, 1)
	go func() {
		_, err := client.Put(context.Background(), "k", []byte("v"), PutOptions{})
		done <- err
	}()
	place.announce(record(Migrating, 3))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	equal(t, "asked", stores.asked, []string{"T put, clear tombstone"})
	place.announce(record(Draining, 4))
	place.waitForAcknowledgement(t, client.Status().Instance, 4)
	client.waitMax = time.Millisecond
	_, err := client.Put(context.Background(), "k", []byte("v"), PutOptions{})
	if !HasCode(err, CodeWriteHeld) {
		t.Errorf("a write that was held for too long ended with %v", err)
	}
}

func TestAWriteOfUnknownOutcomeHoldsTheNextModeUp(t *testing.T) {
	place := newMemorySwitch(record(Migrating, 3))
	stores := failingTarget{scriptedTarget{&scriptedStores{}}, errors.New("the connection broke")}
	client := openOn(t, place, stores)
	_, err := client.Put(context.Background(), "k", []byte("v"), PutOptions{})
	if !HasCode(err, CodeOutcomeUnknown) {
		t.Fatalf("it ended with %v", err)
	}
	place.announce(record(Settled, 4))
	for client.Status().Epoch != 4 {
		time.Sleep(time.Millisecond)
	}
	equal(t, "acknowledged", place.last(client.Status().Instance).Acknowledged, uint64(3))
}

func TestAWriteThatWasRefusedHoldsNothingUp(t *testing.T) {
	place := newMemorySwitch(record(Migrating, 3))
	refusal := &RefusedError{"etcd v3", "permission denied"}
	client := openOn(t, place, failingTarget{scriptedTarget{&scriptedStores{}}, refusal})
	_, err := client.Put(context.Background(), "k", []byte("v"), PutOptions{})
	if !errors.Is(err, refusal) || HasCode(err, CodeOutcomeUnknown) {
		t.Fatalf("it ended with %v", err)
	}
	place.announce(record(Settled, 4))
	place.waitForAcknowledgement(t, client.Status().Instance, 4)
}

func TestNeverServesAgainOnceNamedGone(t *testing.T) {
	place := newMemorySwitch(record(Legacy, 1))
	client := openWith(t, place, scriptedTarget{&scriptedStores{}}, 100*time.Millisecond) // it looks when it renews
	place.nameGone(client.Status().Instance)
	deadline := time.Now().Add(patience)
	for {
		_, err := client.Get(context.Background(), "k")
		if HasCode(err, CodeNamedGone) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it still serves: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestListsTheTargetOverTheSource(t *testing.T) {
	over := []TargetEntry{{"a", &TargetRecord{Version: "20"}}, {"c", &TargetRecord{Version: "21", CopiedFrom: "3"}}, {"d", nil}}
	under := []SourceRecord{{Key: "a", Version: "1"}, {Key: "b", Version: "2"}, {Key: "c", Version: "3"}, {Key: "d", Version: "4"}, {Key: "e", Version: "5"}}
	var listed []string
	for _, each := range mergeLists(over, under) {
		listed = append(listed, each.Key+" "+each.Token.Store+" "+each.Token.Version)
	}
	equal(t, "listed", listed, []string{"a target 20", "b source 2", "c source 3", "e source 5"})
}

func record(mode Mode, epoch uint64) SwitchRecord {
	return SwitchRecord{Migration: "config", Mode: mode, Epoch: epoch, AnnouncedAt: "2030-01-31T12:00:00.000Z"}
}

func open(t *testing.T, place Switch, stores *scriptedStores) *Client {
	return openOn(t, place, scriptedTarget{stores})
}

func openOn(t *testing.T, place Switch, target Target) *Client {
	return openWith(t, place, target, time.Hour)
}

func openWith(t *testing.T, place Switch, target Target, lease time.Duration) *Client {
	t.Helper()
	client, err := Open(context.Background(), Options{
		Name: "test", Switch: place, Source: scriptedSource{&scriptedStores{}}, Target: target,
		Lease: lease, RequestLife: time.Hour, WaitMax: patience, Poll: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.presence.stop)
	return client
}

type failingTarget struct {
	scriptedTarget
	failure error
}

func (f failingTarget) Write(context.Context, string, Write, Expectation, TombstoneChange, Seen) (TargetAnswer, error) {
	return TargetAnswer{}, f.failure
}

// memorySwitch remembers every text that was written.
type memorySwitch struct {
	mutex    sync.Mutex
	versions int
	cells    map[string]Cell
	written  map[string][]string
	log      []string
}

func newMemorySwitch(first SwitchRecord) *memorySwitch {
	place := &memorySwitch{cells: map[string]Cell{}, written: map[string][]string{}}
	place.announce(first)
	return place
}

func (m *memorySwitch) ReadCell(_ context.Context, name string) (*Cell, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.log = append(m.log, "read "+kindOf(name))
	cell, found := m.cells[name]
	if !found {
		return nil, nil
	}
	return &cell, nil
}

func (m *memorySwitch) WriteCell(_ context.Context, name, text, expected string) (string, bool, *Cell, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.log = append(m.log, "write "+kindOf(name))
	if current, found := m.cells[name]; current.Version != expected {
		if !found {
			return "", true, nil, nil
		}
		return "", true, &current, nil
	}
	return m.put(name, text), false, nil, nil
}

func (m *memorySwitch) RemoveCell(_ context.Context, name, expected string) (bool, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.cells[name].Version != expected {
		return true, nil
	}
	delete(m.cells, name)
	return false, nil
}

func (m *memorySwitch) put(name, text string) string {
	m.versions++
	version := string(rune('a' + m.versions))
	m.cells[name] = Cell{Text: text, Version: version}
	m.written[name] = append(m.written[name], text)
	return version
}

func (m *memorySwitch) announce(record SwitchRecord) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.put(recordPlace, record.Text())
}

func (m *memorySwitch) nameGone(instance string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	current, _ := RegistrationFromText(m.cells[registrationPlace(instance)].Text)
	now := "2030-01-31T13:00:00.000Z"
	current.GoneAt = &now
	m.put(registrationPlace(instance), current.Text())
}

func (m *memorySwitch) text(instance string, nth int) Registration {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	found, _ := RegistrationFromText(m.written[registrationPlace(instance)][nth])
	return found
}

func (m *memorySwitch) last(instance string) Registration {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	found, _ := RegistrationFromText(m.cells[registrationPlace(instance)].Text)
	return found
}

func (m *memorySwitch) waitForAcknowledgement(t *testing.T, instance string, epoch uint64) {
	t.Helper()
	for deadline := time.Now().Add(patience); m.last(instance).Acknowledged != epoch; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s has not acknowledged %d", instance, epoch)
		}
	}
}

func (m *memorySwitch) done() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return slices.Clone(m.log)
}

func (m *memorySwitch) instances() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	var names []string
	for name := range m.cells {
		if kindOf(name) == "registration" {
			names = append(names, name)
		}
	}
	return names
}

func kindOf(name string) string {
	if name == recordPlace {
		return recordPlace
	}
	return "registration"
}
