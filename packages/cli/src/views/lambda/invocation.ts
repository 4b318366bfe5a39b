/** What a function returned. */
import { envelope, type View } from '../view.ts';

export interface ShownInvocation {
  readonly function: string;
  readonly result: unknown;
}

export const invocationView: View<ShownInvocation> = {
  human: ({ result }) => `${JSON.stringify(result, null, 2)}\n`,
  json: (shown, warnings) => envelope('keyferry.lambda-invocation', warnings, { ...shown }),
};
