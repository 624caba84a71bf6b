//! Publishes one event.

use serde_json::{Value, json};

/// `key`: an operator's. Answers the event's id.
pub async fn publish(url: &str, key: &str, tenant: &str) -> Result<String, Box<dyn std::error::Error>> {
    let event = json!({
        // Your own id: sent again after a timeout, the event is not doubled.
        "id": format!("order-17-{tenant}"),
        "source": "shop",
        "detail-type": "Order Placed",
        "tenant": tenant,
        "detail": {"order": 17, "total": "12.50"},
    });
    let client = reqwest::Client::new();
    let response = client.post(format!("{url}/v1/events")).bearer_auth(key).json(&event).send().await?;
    let status = response.status();
    let answer: Value = response.json().await?;
    // 202: it is on disk, with everything it leads to; 200: it was already. Anything else is a problem that says why.
    match answer["id"].as_str() {
        Some(id) if status.is_success() => Ok(id.to_owned()),
        _ => Err(format!("{status}: {}", answer["detail"]).into()),
    }
}
