/**
 * Registration watch: what a controller has seen of instances, by its own clock alone.
 *
 * Instants in a registration are of the instance's clock, or of whoever named it gone, and where two clocks differ by a
 * second a request life would be a second short (SPEC R29). So a renewal counts from when it was seen, a silence is judged
 * once it was watched for a whole lease, and a request life runs from when the name of one gone was found.
 */
import type { Clock, InstanceId, RegistrationRecord, Sighting } from '@keyferry/core';

/** Beyond its lease: a renewal may be on its way while it is looked at. */
const lapseMarginMs = 1000;

export interface SeenRegistration {
  readonly record: RegistrationRecord;
  readonly sighting: Sighting;
  /** In milliseconds since 1970 by the controller's clock; null: nobody named it gone. */
  readonly goneAtMs: number | null;
}

interface LastMove {
  readonly renewals: number;
  readonly atMs: number;
  /** It moved, or came, while somebody watched. */
  readonly isWitnessed: boolean;
}

export class RegistrationWatch {
  private readonly clock: Clock;
  private readonly moves = new Map<InstanceId, LastMove>();
  private readonly goneSince = new Map<InstanceId, number>();
  private hasLooked = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** @param listed all of them, as they are now */
  see(listed: readonly RegistrationRecord[]): readonly SeenRegistration[] {
    const seen = listed.map((record) => ({
      record,
      sighting: this.sightingOf(record),
      goneAtMs: record.goneAt === null ? null : this.clock.nowMs() - this.goneForMs(record),
    }));
    this.hasLooked = true;
    return seen;
  }

  private sightingOf({ instance, renewals, leaseMs }: RegistrationRecord): Sighting {
    const nowMs = this.clock.monotonicMs();
    const before = this.moves.get(instance);
    if (before?.renewals !== renewals) {
      this.moves.set(instance, { renewals, atMs: nowMs, isWitnessed: this.hasLooked });
      return this.hasLooked ? 'alive' : 'unseen';
    }
    if (nowMs - before.atMs > leaseMs + lapseMarginMs) return 'lapsed';
    return before.isWitnessed ? 'alive' : 'unseen';
  }

  private goneForMs({ instance }: RegistrationRecord): number {
    const nowMs = this.clock.monotonicMs();
    const sinceMs = this.goneSince.get(instance) ?? nowMs;
    this.goneSince.set(instance, sinceMs);
    return nowMs - sinceMs;
  }
}
