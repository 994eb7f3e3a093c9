//! stub
use crate::{
    api,
    live::{
        self, ChannelId,
        relay::{Media, Output},
        wire::SingleSubParams,
    },
};
use secrecy::SecretString;
/// stub
pub fn parameters(relay: &api::Relay, urls: &[SecretString]) -> Result<live::Relay, String> {
    let single = relay.single.as_ref().ok_or("stub: single only")?;
    let mut outputs = Vec::new();
    for (output, url) in relay.outputs.iter().zip(urls) {
        outputs.push(Output::new(url.clone(), output.ali_cdn).map_err(|e| e.to_string())?);
    }
    Ok(live::Relay {
        channel: ChannelId::try_from(relay.channel_id.as_str()).map_err(|e| e.to_string())?,
        region: None,
        max_idle: relay
            .max_idle_seconds
            .and_then(|s| u64::try_from(s).ok())
            .map(std::time::Duration::from_secs),
        outputs,
        media: Media::Single(SingleSubParams {
            user_id: single.user_id.clone(),
            source_type: None,
            stream_type: None,
        }),
        sei: None,
    })
}
