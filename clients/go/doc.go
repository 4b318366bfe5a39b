// Package keyferry is a reference client for applications in Go that take part in an online migration from etcd v2 to etcd
// v3: it sees one store, and each key is linearizable over both, for all instances together, whatever language they are
// written in.
//
//	client ─┬─ presence: registers at the switch, follows it, acknowledges, doubts itself
//	        ├─ operations: what is asked of which store, mode by mode
//	        └─ lists: the target's over the source's, less the tombstones
//
// It speaks the protocol of docs/reference/wire-protocol.md, and its tests pass the vectors there. Only the standard library
// is used: etcd v3 is reached by the JSON gateway that each member serves under /v3.
package keyferry
