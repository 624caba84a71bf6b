// Receives webhooks and believes only those that are signed. Run it with WEBHOOK_SECRET (whsec_…) in the environment.
import { createServer } from "node:http";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET!);
// In your product: a table with a unique column, written in the transaction that does the work.
const seen = new Set<string>();

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  // The bytes as they came: JSON that is parsed and written again is not what was signed.
  const body = Buffer.concat(chunks).toString("utf8");
  let event;
  try {
    event = webhook.verify(body, request.headers as Record<string, string>) as any;
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    response.writeHead(400).end();
    return;
  }
  const id = request.headers["webhook-id"] as string;
  const isNew = !seen.has(id);
  seen.add(id);
  // Answer first, work later: what takes longer than the timeout is sent again.
  response.writeHead(204).end();
  if (isNew) console.log(`received ${id} ${event["detail-type"]} of ${event.tenant}`);
});

server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  const address = server.address() as { port: number };
  console.log(`listening on 127.0.0.1:${address.port}`);
});
