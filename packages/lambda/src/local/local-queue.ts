/**
 * A queue on this machine, as functions see one of SQS: they send, look and give back over HTTP (AWS JSON 1.0); what Lambda
 * does itself, receiving and deleting, is called directly.
 *
 *     visible ──receive──► in flight ──delete──► gone
 *        ▲                    │
 *        └──its time is over──┴──received too often──► dead letter
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { SQSRecord } from 'aws-lambda';

export interface LocalQueueOptions {
  /** How long a message that was received and not deleted stays away. */
  readonly visibilityMs: number;
  /** Times that a message may be received before it is a dead letter. */
  readonly receivesMax?: number;
}

export interface QueuedMessage {
  readonly messageId: string;
  readonly body: string;
  receiptHandle: string;
  receives: number;
  visibleAtMs: number;
}

/** As of the Terraform module's queue. */
const defaultReceivesMax = 100;

type Request = Readonly<Record<string, unknown>>;

export class LocalQueue {
  readonly deadLetters: QueuedMessage[] = [];
  /** Messages that were ever sent. */
  sent = 0;
  private readonly options: LocalQueueOptions;
  private readonly server: Server;
  private readonly messages = new Map<string, QueuedMessage>();

  private constructor(options: LocalQueueOptions, server: Server) {
    this.options = options;
    this.server = server;
  }

  static async start(options: LocalQueueOptions): Promise<LocalQueue> {
    const server = createServer();
    const queue = new LocalQueue(options, server);
    server.on('request', (request, response) => void queue.respond(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return queue;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/000000000000/items`;
  }

  /** Messages that are neither deleted nor dead. */
  get depth(): number {
    return this.messages.size;
  }

  /** One that is visible, or null. */
  receive(): QueuedMessage | null {
    const nowMs = Date.now();
    for (const message of this.messages.values()) {
      if (message.visibleAtMs > nowMs) continue;
      if (message.receives >= (this.options.receivesMax ?? defaultReceivesMax)) {
        this.messages.delete(message.messageId);
        this.deadLetters.push(message);
        continue;
      }
      message.receives += 1;
      message.receiptHandle = randomUUID();
      message.visibleAtMs = nowMs + this.options.visibilityMs;
      return message;
    }
    return null;
  }

  delete({ messageId }: Pick<QueuedMessage, 'messageId'>): void {
    this.messages.delete(messageId);
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, body } = await this.answer(request);
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body));
  }

  private async answer(request: IncomingMessage): Promise<{ readonly status: number; readonly body: object }> {
    const [, operation = ''] = String(request.headers['x-amz-target'] ?? '').split('.');
    const asked = JSON.parse((await text(request)) || '{}') as Request;
    if (asked['QueueUrl'] !== this.url) return refusal('QueueDoesNotExist');
    switch (operation) {
      case 'SendMessageBatch':
        return this.take(asked['Entries']);
      case 'GetQueueAttributes':
        return { status: 200, body: { Attributes: this.attributes() } };
      case 'ChangeMessageVisibility':
        return this.changeVisibility(asked);
      default:
        return refusal('UnsupportedOperation');
    }
  }

  private take(entries: unknown) {
    const asked = (Array.isArray(entries) ? entries : []) as readonly { Id: string; MessageBody: string }[];
    if (asked.length === 0) return refusal('EmptyBatchRequest');
    if (asked.length > 10) return refusal('TooManyEntriesInBatchRequest');
    const Successful = asked.map(({ Id, MessageBody }) => {
      const messageId = randomUUID();
      this.messages.set(messageId, { messageId, body: MessageBody, receiptHandle: '', receives: 0, visibleAtMs: 0 });
      this.sent += 1;
      return { Id, MessageId: messageId };
    });
    return { status: 200, body: { Successful, Failed: [] } };
  }

  private attributes() {
    const nowMs = Date.now();
    const hidden = [...this.messages.values()].filter(({ visibleAtMs }) => visibleAtMs > nowMs).length;
    return {
      ApproximateNumberOfMessages: String(this.messages.size - hidden),
      ApproximateNumberOfMessagesNotVisible: String(hidden),
      ApproximateNumberOfMessagesDelayed: '0',
    };
  }

  private changeVisibility({ ReceiptHandle, VisibilityTimeout }: Request) {
    const message = [...this.messages.values()].find(({ receiptHandle }) => receiptHandle === ReceiptHandle);
    if (message === undefined) return refusal('ReceiptHandleIsInvalid');
    message.visibleAtMs = Date.now() + Number(VisibilityTimeout) * 1000;
    return { status: 200, body: {} };
  }
}

const refusal = (type: string) => ({ status: 400, body: { __type: `com.amazonaws.sqs#${type}`, message: type } });

/** As an event source mapping hands it to a function. */
export function recordOf({ messageId, receiptHandle, body, receives }: QueuedMessage): SQSRecord {
  return {
    messageId,
    receiptHandle,
    body,
    attributes: {
      ApproximateReceiveCount: String(receives),
      SentTimestamp: '0',
      SenderId: 'local',
      ApproximateFirstReceiveTimestamp: '0',
    },
    messageAttributes: {},
    md5OfBody: '',
    eventSource: 'aws:sqs',
    eventSourceARN: 'arn:aws:sqs:local:000000000000:items',
    awsRegion: 'local',
  };
}
