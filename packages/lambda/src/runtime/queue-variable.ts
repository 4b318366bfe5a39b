/** The environment variable that names the queue by which chunks are shared out, where they are: set by the deployment. */
export const queueVariable = 'KEYFERRY_QUEUE_URL';
