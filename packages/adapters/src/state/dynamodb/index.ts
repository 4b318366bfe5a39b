/** State in DynamoDB: opening it, and making its table. */
import type { StateStore } from '@keyferry/core';
import { systemClock } from '../../environment/system-clock.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { DynamoDbState } from './store.ts';
import { assertTableFormat } from './table-format.ts';

export { createStateTable, type TableOutcome } from './table.ts';
export {
  openDynamoDbPlainSwitch,
  openDynamoDbPrimarySwitch,
  openDynamoDbSwitch,
  type DynamoDbSwitchOptions,
} from './switch.ts';

export interface DynamoDbStateOptions extends ConnectionOptions {
  /** Events are let go so long after they were written; by default never. */
  readonly eventsKeptMs?: number | undefined;
  /** Milliseconds since 1970; the system's clock unless given. */
  readonly nowMs?: (() => number) | undefined;
}

/**
 * Opens the state and reads once, so that a missing table or missing permissions are told now and not in the middle.
 * Credentials are found as the AWS SDK finds them: environment, profile, web identity, container, instance.
 * @throws {KeyferryError} `state.table-missing`, `state.denied`, `state.unreachable`, `state.throttled`, `state.newer`,
 *   `state.unusable`
 *
 * @example
 *     const state = await openDynamoDbState({ table: 'keyferry', region: 'eu-west-1' });
 */
export async function openDynamoDbState(options: DynamoDbStateOptions): Promise<StateStore> {
  const { eventsKeptMs = null, nowMs = () => systemClock.nowMs(), ...connecting } = options;
  const connection = new Connection(connecting);
  try {
    await assertTableFormat(connection);
  } catch (error) {
    connection.close();
    throw error;
  }
  return new DynamoDbState(connection, { nowMs, eventsKeptMs });
}
