# Publishes one event. Run it with SUBLET_URL, SUBLET_KEY (an operator's key) and TENANT in the environment.
import json
import os
import urllib.request

tenant = os.environ["TENANT"]
event = {
    # Your own id: sent again after a timeout, the event is not doubled.
    "id": f"order-17-{tenant}",
    "source": "shop",
    "detail-type": "Order Placed",
    "tenant": tenant,
    "detail": {"order": 17, "total": "12.50"},
}
request = urllib.request.Request(
    os.environ.get("SUBLET_URL", "http://127.0.0.1:7070") + "/v1/events",
    data=json.dumps(event).encode(),
    headers={
        "authorization": f"Bearer {os.environ['SUBLET_KEY']}",
        "content-type": "application/json",
    },
)
# 202: it is on disk, with everything it leads to; 200: it was already. Anything else raises, and its body says why.
with urllib.request.urlopen(request, timeout=30) as response:
    print("published", json.load(response)["id"])
