/** What the application that uses a tree calls things. */
import { directory, inOrder } from '@keyferry/client';
import { keyFromText } from '@keyferry/core';

/** Its keys have histories. */
export const tree = directory('app/t');
export const treeKeys = ['app/t/a', 'app/t/b', 'app/t/c', 'app/t/d/e'] as const;
export const queue = inOrder(directory('app/queue'), 'app/queue.last');
export const counterKey = keyFromText(queue.counter);
