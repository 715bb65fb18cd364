//! tmp
/// t
pub fn raise(_x: &()) -> Result<String, String> {
    Ok("none".to_owned())
}
