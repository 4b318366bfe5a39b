package keyferry

import (
	"errors"
	"fmt"
)

// The codes of this client's own errors; the same as those of keyferry's client for Node.
const (
	// CodeWriteHeld: writes were held back for longer than WaitMax. Nothing was written.
	CodeWriteHeld = "client.write-held"
	// CodeNotServing: the instance could not renew its lease. Nothing was written.
	CodeNotServing = "client.not-serving"
	// CodeOutcomeUnknown: a write's answer was lost, or came past the lease. It may have happened, or may still happen.
	CodeOutcomeUnknown = "client.outcome-unknown"
	// CodeNamedGone: an operator named this instance gone. Nothing was written; start the process anew.
	CodeNamedGone = "client.named-gone"
	// CodeSwitchUnreadable: what lies at the switch is not keyferry's, or a newer keyferry's.
	CodeSwitchUnreadable = "switch.unreadable"
)

// Error is what this client says by itself; errors of stores come through as they are, and then nothing was written.
type Error struct {
	Code, Detail string
	Cause        error
}

func (e *Error) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("%s: %s", e.Code, e.Detail)
	}
	return fmt.Sprintf("%s: %s: %v", e.Code, e.Detail, e.Cause)
}

func (e *Error) Unwrap() error { return e.Cause }

// HasCode tells whether an error is, or wraps, one with this code.
func HasCode(err error, code string) bool {
	var own *Error
	return errors.As(err, &own) && own.Code == code
}

// RefusedError is a server's own word that it did nothing: what was asked never happens.
type RefusedError struct{ Store, Detail string }

func (e *RefusedError) Error() string { return fmt.Sprintf("%s refused: %s", e.Store, e.Detail) }

func neverHappened(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused)
}
