/**
 * The process of an environment: loads the handler of a bundle and asks the Runtime API for one event after another, as
 * Lambda's own runtime does. Started by environment.ts with the variables that Lambda sets; never part of a bundle.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';

type Handler = (event: unknown, context: object) => Promise<unknown>;

const { AWS_LAMBDA_RUNTIME_API = '', LAMBDA_TASK_ROOT = '.', _HANDLER = 'index.handler' } = process.env;
const { AWS_LAMBDA_FUNCTION_NAME: functionName = '', AWS_LAMBDA_FUNCTION_MEMORY_SIZE = '' } = process.env;
const api = `http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime`;

const post = async (path: string, body: unknown): Promise<void> => {
  await fetch(`${api}/${path}`, { method: 'POST', body: JSON.stringify(body ?? null) });
};
const errorBody = (error: unknown): object => {
  const {
    name: errorType,
    message: errorMessage,
    stack = '',
  } = error instanceof Error ? error : new Error(String(error));
  return { errorType, errorMessage, stackTrace: stack.split('\n') };
};

let handler: Handler;
try {
  const [file = 'index', name = 'handler'] = _HANDLER.split('.');
  const bundle = createRequire(import.meta.url)(join(LAMBDA_TASK_ROOT, `${file}.cjs`)) as Record<string, Handler>;
  if (bundle[name] === undefined) throw new TypeError(`${file}.cjs exports no ${name}`);
  handler = bundle[name];
} catch (error) {
  await post('init/error', errorBody(error));
  process.exit(1);
}

for (;;) {
  const next = await fetch(`${api}/invocation/next`);
  const awsRequestId = next.headers.get('lambda-runtime-aws-request-id') ?? '';
  const deadlineMs = Number(next.headers.get('lambda-runtime-deadline-ms'));
  process.env['_X_AMZN_TRACE_ID'] = next.headers.get('lambda-runtime-trace-id') ?? '';
  const context = {
    functionName,
    functionVersion: '$LATEST',
    invokedFunctionArn: next.headers.get('lambda-runtime-invoked-function-arn') ?? '',
    memoryLimitInMB: AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    awsRequestId,
    getRemainingTimeInMillis: () => Math.max(0, deadlineMs - Date.now()),
  };
  try {
    const result = await handler(await next.json(), context);
    await post(`invocation/${awsRequestId}/response`, result);
  } catch (error) {
    await post(`invocation/${awsRequestId}/error`, errorBody(error));
  }
}
