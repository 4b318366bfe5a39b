/** Wiring of the state: from a configuration to where the progress of its migrations is kept. */
import type { StateStore } from '@keyferry/core';
import type { ResolvedConfig, StateConfig } from './config/resolved-config.ts';
import { shortPath } from './short-path.ts';

/** @throws {KeyferryError} `state.unusable`, `state.newer`, `state.busy`; in DynamoDB also what openDynamoDbState says */
export async function wireState({ state, directory }: ResolvedConfig): Promise<StateStore> {
  if ('dynamodb' in state) {
    const { openDynamoDbState } = await import('./state/dynamodb/index.ts');
    return await openDynamoDbState(dynamoDbOptions(state.dynamodb));
  }
  const { openSqliteState } = await import('./state/index.ts');
  return await openSqliteState({ file: shortPath(directory, state.sqlite) });
}

/**
 * Makes the table that the state is configured to be in. May be repeated.
 * @throws {KeyferryError} `state.unusable`, `state.denied`, `state.unreachable`
 */
export async function wireStateTable(state: SharedStateConfig): Promise<'created' | 'exists'> {
  const { createStateTable } = await import('./state/dynamodb/index.ts');
  return await createStateTable(dynamoDbOptions(state.dynamodb));
}

/** State that several machines share. */
export type SharedStateConfig = Extract<StateConfig, { readonly dynamodb: unknown }>;

function dynamoDbOptions({ table, region, endpoint, requestTimeoutMs, eventsKeptMs }: SharedStateConfig['dynamodb']) {
  return {
    table,
    region,
    endpoint: endpoint ?? undefined,
    requestTimeoutMs: requestTimeoutMs ?? undefined,
    eventsKeptMs: eventsKeptMs ?? undefined,
  };
}
