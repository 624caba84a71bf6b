// What Sublet hands to a handler.

/** An event as your SaaS published it, in EventBridge's envelope. */
export interface Event<Detail = unknown> {
  version: string;
  id: string;
  source: string;
  "detail-type": string;
  /** When it happened, such as 2026-01-31T12:00:00Z. */
  time: string;
  resources: string[];
  /** Your name at the SaaS. */
  tenant?: string;
  detail: Detail;
}

/** What the attempt is, as in AWS Lambda. */
export interface Context {
  /** The same for every attempt of one invocation: what to deduplicate by. */
  awsRequestId: string;
  functionName: string;
  functionVersion: string;
  invokedFunctionArn: string;
  memoryLimitInMB: string;
  tenantId: string;
  logGroupName: string;
  logStreamName: string;
  /** W3C trace context, if the event came with one. */
  traceparent?: string;
  getRemainingTimeInMillis(): number;
}

/** What it returns must be JSON. */
export type Handler<Detail = unknown, Result = unknown> = (
  event: Event<Detail>,
  context: Context,
) => Result | Promise<Result>;
