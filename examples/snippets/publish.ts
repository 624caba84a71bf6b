// Publishes one event. Run it with SUBLET_URL, SUBLET_KEY (an operator's key) and TENANT in the environment.
const url = process.env.SUBLET_URL ?? "http://127.0.0.1:7070";

const response = await fetch(`${url}/v1/events`, {
  method: "POST",
  headers: {
    authorization: `Bearer ${process.env.SUBLET_KEY}`,
    "content-type": "application/json",
  },
  body: JSON.stringify({
    // Your own id: sent again after a timeout, the event is not doubled.
    id: `order-17-${process.env.TENANT}`,
    source: "shop",
    "detail-type": "Order Placed",
    tenant: process.env.TENANT,
    detail: { order: 17, total: "12.50" },
  }),
});
const answer = await response.json();
// 202: it is on disk, with everything it leads to; 200: it was already. Anything else is a problem that says why.
if (!response.ok) {
  throw new Error(`${response.status}: ${answer.detail}`);
}
console.log(`published ${answer.id}`);
