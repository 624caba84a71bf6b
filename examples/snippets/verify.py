# Receives webhooks and believes only those that are signed. Run it with WEBHOOK_SECRET (whsec_…) in the environment.
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
# In your product: a table with a unique column, written in the transaction that does the work.
seen = set()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        # The bytes as they came: JSON that is parsed and written again is not what was signed.
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        try:
            event = webhook.verify(body, {name.lower(): value for name, value in self.headers.items()})
        except WebhookVerificationError:
            self.answer(400)
            return
        webhook_id = self.headers["webhook-id"]
        is_new = webhook_id not in seen
        seen.add(webhook_id)
        # Answer first, work later: what takes longer than the timeout is sent again.
        self.answer(204)
        if is_new:
            print("received", webhook_id, event["detail-type"], "of", event["tenant"], flush=True)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "0"))), Receiver)
print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
