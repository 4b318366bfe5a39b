// Command instance is an application's instance at work, for tests: it writes, deletes, compares and lists keys of its own
// while a migration runs, and compares every answer with its tally. It ends when its input does, and prints the tally.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	keyferry "keyferry/clients/go"
)

type tally struct {
	Own        map[string]string `json:"own"`
	Counted    int               `json:"counted"`
	Operations int               `json:"operations"`
	// Numbered counts reads of its keys whose number was above all before.
	Numbered int `json:"numbered"`
	// Modes that it served in, in order.
	Modes []keyferry.Mode `json:"modes"`
}

const keysEach = 12

func main() {
	endpoints := flag.String("endpoints", "", "of etcd, with commas between")
	migration := flag.String("migration", "", "name of the migration")
	switchKey := flag.String("switch", "_keyferry/switch", "key of the switch, in etcd v3")
	prefix := flag.String("prefix", "", "of its own keys")
	count := flag.String("count", "", "key that all instances count up")
	flag.Parse()
	reach := keyferry.HTTPOptions{Endpoints: strings.Split(*endpoints, ",")}
	target := keyferry.OpenEtcdV3(keyferry.EtcdV3Options{HTTPOptions: reach, Migration: *migration, SwitchKey: *switchKey})
	ctx := context.Background()
	client, err := keyferry.Open(ctx, keyferry.Options{
		Name:    "go",
		Switch:  target,
		Source:  keyferry.OpenEtcdV2(reach, ""),
		Target:  target,
		WaitMax: 2 * time.Minute,
		Poll:    50 * time.Millisecond,
	})
	orExit(err)
	var isOver atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		isOver.Store(true)
	}()
	work := worker{client: client, prefix: *prefix, count: *count, tally: tally{Own: map[string]string{}}}
	for round := 0; !isOver.Load(); round++ {
		orExit(work.round(ctx, round))
		if round%10 == 0 {
			fmt.Fprintf(os.Stderr, "%d\n", work.tally.Operations)
		}
	}
	orExit(client.Close(ctx))
	orExit(json.NewEncoder(os.Stdout).Encode(work.tally))
}

type worker struct {
	client        *keyferry.Client
	prefix, count string
	tally         tally
	// The highest number that a record of its own had.
	index uint64
}

func (w *worker) round(ctx context.Context, round int) error {
	if mode := w.client.Status().Mode; len(w.tally.Modes) == 0 || w.tally.Modes[len(w.tally.Modes)-1] != mode {
		w.tally.Modes = append(w.tally.Modes, mode)
	}
	key := w.prefix + strconv.Itoa(round%keysEach)
	if err := w.change(ctx, key, round); err != nil {
		return err
	}
	found, err := w.client.Get(ctx, key)
	if err != nil {
		return err
	}
	if err := w.same("a read of "+key, found, key); err != nil {
		return err
	}
	if err := w.grows(key, found); err != nil {
		return err
	}
	if round%7 == 0 {
		if err := w.list(ctx); err != nil {
			return err
		}
	}
	w.tally.Operations++
	return w.countUp(ctx)
}

func (w *worker) change(ctx context.Context, key string, round int) error {
	value := "go " + strconv.Itoa(round)
	switch round % 5 {
	case 3:
		previous, err := w.client.DeleteAndGet(ctx, key)
		if err != nil {
			return err
		}
		if err := w.same("what was deleted at "+key, previous, key); err != nil {
			return err
		}
		delete(w.tally.Own, key)
		return nil
	case 4:
		_, previous, err := w.client.PutAndGet(ctx, key, []byte(value), keyferry.PutOptions{TTL: time.Hour})
		if err != nil {
			return err
		}
		if err := w.same("what was written over at "+key, previous, key); err != nil {
			return err
		}
	default:
		if _, err := w.client.Put(ctx, key, []byte(value), keyferry.PutOptions{}); err != nil {
			return err
		}
	}
	w.tally.Own[key] = value
	return nil
}

// grows: a number is above all that were given before, and leads back to its token.
func (w *worker) grows(key string, found *keyferry.Record) error {
	if found == nil {
		return nil
	}
	index, ok := w.client.IndexOf(found.Token)
	if !ok || index <= w.index {
		return fmt.Errorf("%s has the number %d (%t) after %d", key, index, ok, w.index)
	}
	if token, ok := w.client.TokenAt(index); !ok || token != found.Token {
		return fmt.Errorf("%s: the number %d leads to %v (%t), and not to %v", key, index, token, ok, found.Token)
	}
	w.index = index
	w.tally.Numbered++
	return nil
}

func (w *worker) list(ctx context.Context) error {
	listed, err := w.client.List(ctx, w.prefix)
	if err != nil {
		return err
	}
	if len(listed) != len(w.tally.Own) {
		return fmt.Errorf("%d records are listed in %s, and there are %d", len(listed), w.client.Status().Mode, len(w.tally.Own))
	}
	for _, each := range listed {
		if err := w.same("the list", &each.Record, each.Key); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) countUp(ctx context.Context) error {
	found, err := w.client.Get(ctx, w.count)
	if err != nil {
		return err
	}
	count, expected := 0, (*keyferry.Token)(nil)
	if found != nil {
		if count, err = strconv.Atoi(string(found.Value)); err != nil {
			return err
		}
		expected = &found.Token
	}
	swap, err := w.client.CompareAndSwap(ctx, w.count, expected, []byte(strconv.Itoa(count+1)), keyferry.PutOptions{})
	if err == nil && swap.Kind == keyferry.Written {
		w.tally.Counted++
	}
	return err
}

func (w *worker) same(what string, found *keyferry.Record, key string) error {
	want, isThere := w.tally.Own[key]
	if isThere == (found != nil) && (found == nil || string(found.Value) == want) {
		return nil
	}
	return fmt.Errorf("%s in %s: %v, and the tally has %q (%t)", what, w.client.Status().Mode, found, want, isThere)
}

func orExit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
