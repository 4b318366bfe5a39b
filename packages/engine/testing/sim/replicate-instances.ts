/**
 * Instances of a simulated application that take part in a cutover: they register, follow the primary switch through core's
 * own gate, and acknowledge what it says. Their requests live as long as they like, as long as they are answered; a process
 * stands still, past its lease too, between a write's beginning and its sending; one may die with a request on its way.
 */
import {
  acknowledgeable,
  beginOperation,
  closedGate,
  endOperation,
  followSwitch,
  renewLease,
  type InstanceId,
  type PrimaryRecord,
  type PrimarySide,
  type RegistrationRecord,
  type SwitchEpoch,
  type SwitchVersion,
} from '@keyferry/core';
import type { MemoryPrimarySwitch } from '@keyferry/core/testing';
import type { Kernel } from './kernel.ts';
import type { Prng } from './prng.ts';

const leaseMs = 3000;
/** Of a request that is answered in the end; far beyond the life of those that are not. */
const slowestMs = 6000;
const stallChance = 0.015;

export interface SimApplication {
  readonly kernel: Kernel;
  readonly prng: Prng;
  readonly primary: MemoryPrimarySwitch;
  readonly requestLifeMs: number;
  /** One write, in the instant in which it takes effect. */
  readonly write: (side: PrimarySide) => void;
  readonly isOver: () => boolean;
}

export class SimInstance {
  readonly instance: InstanceId;
  isDead = false;
  private readonly app: SimApplication;
  private gate = closedGate(0 as SwitchEpoch);
  private record: PrimaryRecord | null = null;
  private registration: RegistrationRecord;
  private version: SwitchVersion | 'absent' = 'absent';
  private stillUntilMs = 0;

  constructor(name: string, app: SimApplication) {
    this.app = app;
    this.instance = name as InstanceId;
    this.registration = {
      instance: this.instance,
      acknowledged: this.gate.epoch,
      renewals: 0,
      leaseMs,
      follows: 'primary',
      since: 'the beginning',
      goneAt: null,
    };
  }

  /** Registers before it reads what is announced (SPEC R28). */
  async start(): Promise<void> {
    await this.renew();
    await this.live();
  }

  private async live(): Promise<void> {
    const { kernel, prng, isOver } = this.app;
    if (this.isDead || isOver()) return;
    if (prng.chance(stallChance)) this.stillUntilMs = kernel.nowMs + prng.between(500, 20_000);
    if (kernel.nowMs >= this.stillUntilMs) {
      this.record = this.app.primary.record;
      this.gate = followSwitch(this.gate, this.record?.epoch ?? null);
      await this.renew();
      if (prng.chance(0.12) && this.record?.writes !== 'held') this.begin(this.record?.primary ?? 'source');
    }
    kernel.at(Math.max(kernel.nowMs + prng.pick([50, 300, 1000]), this.stillUntilMs), () => void this.live());
  }

  private begin(side: PrimarySide): void {
    const { kernel, prng, requestLifeMs, write } = this.app;
    const begun = beginOperation(this.gate, kernel.nowMs);
    if (begun === null) return;
    this.gate = begun.gate;
    const end = (known: boolean): void => {
      const terms = { known, nowMs: kernel.nowMs, requestLifeMs };
      this.gate = endOperation(this.gate, begun.begun, terms).gate;
    };
    if (prng.chance(0.2)) {
      // Sent at once, and never answered: it takes effect within the life of a request, whatever becomes of the process.
      kernel.at(kernel.nowMs + prng.below(requestLifeMs), () => write(side));
      kernel.at(kernel.nowMs + prng.below(requestLifeMs), () => end(false));
      return;
    }
    const send = (): void => {
      if (this.isDead) return;
      if (kernel.nowMs < this.stillUntilMs) kernel.at(this.stillUntilMs, send);
      else {
        write(side);
        end(true);
      }
    };
    kernel.at(kernel.nowMs + prng.below(slowestMs), send);
  }

  private async renew(): Promise<void> {
    const { kernel, primary } = this.app;
    const { nowMs } = kernel;
    const acknowledged = acknowledgeable(this.gate, nowMs);
    const next = { ...this.registration, acknowledged, renewals: this.registration.renewals + 1 };
    const outcome = await primary.instances.writeRegistration(next, this.version);
    if (outcome.kind === 'lost') {
      this.isDead = true; // somebody named it gone: it serves no more
      return;
    }
    this.version = outcome.version;
    this.registration = next;
    this.gate = renewLease(this.gate, { askedAtMs: nowMs, nowMs: kernel.nowMs, leaseMs });
  }
}
