//! tmp
/// t
pub fn error_page(status: u16, reason: &str, detail: Option<&str>) -> Vec<u8> {
    format!(
        "<!doctype html><title>{status} {reason}</title><h1>{status} {reason}</h1><p>{}",
        detail.unwrap_or("")
    )
    .into_bytes()
}
