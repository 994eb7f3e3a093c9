//! From what people write to what the service takes.

use crate::{
    api::{Relay, relay as said},
    live::{self, ChannelId, Media, Output, wire},
};
use secrecy::SecretString;
use std::time::Duration;

/// The complete parameters of the task that `relay` describes; `urls` are the addresses of its outputs, in order.
///
/// # Errors
/// Which field the service would not take, and what to do. The API server refuses most of it before; an address out of a Secret it has never seen.
/// No part of an address is shown.
pub fn parameters(relay: &Relay, urls: &[SecretString]) -> Result<live::Relay, String> {
    let Relay {
        channel_id,
        region,
        max_idle_seconds,
        outputs,
        single,
        mixed,
        sei,
    } = relay;
    let media = match (single, mixed) {
        (Some(single), None) => Media::Single(single_params(single)),
        (None, Some(mixed)) => Media::Mixed(Box::new(transcode_params(mixed))),
        (Some(_), Some(_)) | (None, None) => {
            return Err("spec.relay: give exactly one of single and mixed".to_owned());
        }
    };
    Ok(live::Relay {
        channel: ChannelId::try_from(channel_id.as_str())
            .map_err(|error| format!("spec.relay.channelId: {error}"))?,
        region: region.map(site),
        max_idle: max_idle_seconds.map(seconds).transpose()?,
        outputs: destinations(outputs, urls)?,
        media,
        sei: sei.as_ref().map(sei_params),
    })
}

fn seconds(seconds: i64) -> Result<Duration, String> {
    u64::try_from(seconds)
        .map(Duration::from_secs)
        .map_err(|_| "spec.relay.maxIdleSeconds: give a number from 10 to 86400".to_owned())
}

fn destinations(outputs: &[said::Output], urls: &[SecretString]) -> Result<Vec<Output>, String> {
    if outputs.is_empty() || outputs.len() != urls.len() {
        return Err(
            "spec.relay.outputs: give at least one output, each with an address".to_owned(),
        );
    }
    let mut read: Vec<Output> = Vec::with_capacity(outputs.len());
    for (at, (output, url)) in outputs.iter().zip(urls).enumerate() {
        let field = match &output.url_from {
            Some(source) => {
                let said::SecretKeyRef { name, key } = &source.secret_key_ref;
                format!("urlFrom (key {key} of Secret {name})")
            }
            None => "url".to_owned(),
        };
        let output = Output::new(url.clone(), output.ali_cdn)
            .map_err(|error| format!("spec.relay.outputs[{at}].{field}: {error}"))?;
        if let Some(first) = read.iter().position(|earlier| earlier.id() == output.id()) {
            return Err(format!(
                "spec.relay.outputs[{at}].{field}: this is the address of outputs[{first}] (the query does not make another one); take one out"
            ));
        }
        read.push(output);
    }
    Ok(read)
}

fn single_params(single: &said::Single) -> wire::SingleSubParams {
    let said::Single {
        user_id,
        stream_type: stream,
        source_type,
    } = single;
    wire::SingleSubParams {
        source_type: source_type.map(source),
        stream_type: stream.map(stream_type),
        user_id: user_id.clone(),
    }
}

fn transcode_params(mixed: &said::Mixed) -> wire::TranscodeParams {
    let said::Mixed {
        background,
        encode,
        layout,
        users,
    } = mixed;
    wire::TranscodeParams {
        background: background
            .as_ref()
            .map(|said::Background { url, render_mode }| wire::Background {
                render_mode: render_mode.map(fit),
                url: url.clone(),
            }),
        encode_params: encode_params(encode),
        layout: layout
            .as_ref()
            .map(|said::Layout { user_panes }| wire::Layout {
                user_panes: user_panes.iter().map(pane).collect(),
            }),
        user_infos: users.iter().flatten().map(user).collect(),
    }
}

fn encode_params(encode: &said::Encode) -> wire::EncodeParams {
    let said::Encode {
        audio_only,
        audio_bitrate,
        audio_sample_rate,
        audio_channels,
        video_width,
        video_height,
        video_bitrate,
        video_framerate,
        video_gop,
        video_codec,
        enhanced_param,
    } = encode;
    wire::EncodeParams {
        audio_bitrate: Some(wire::Leaf(*audio_bitrate)),
        audio_channels: Some(wire::Leaf(*audio_channels)),
        audio_only: audio_only.map(wire::Leaf),
        audio_sample_rate: Some(wire::Leaf(*audio_sample_rate)),
        enhanced_param: enhanced_param.as_ref().map(
            |said::EnhancedParam {
                 profile: of_codec,
                 preset: speed,
             }| wire::EnhancedParam {
                preset: speed.map(preset),
                profile: of_codec.map(profile),
            },
        ),
        video_bitrate: video_bitrate.map(wire::Leaf),
        video_codec: video_codec.map(codec),
        video_framerate: video_framerate.map(wire::Leaf),
        video_gop: video_gop.map(wire::Leaf),
        video_height: video_height.map(wire::Leaf),
        video_width: video_width.map(wire::Leaf),
    }
}

fn pane(pane: &said::UserPane) -> wire::UserPane {
    let said::UserPane {
        x,
        y,
        width,
        height,
        z_order,
        render_mode,
        background_image_url,
        user_info,
    } = pane;
    wire::UserPane {
        background_image_url: background_image_url.clone(),
        height: Some(height.clone()),
        render_mode: render_mode.map(fit),
        user_info: user_info.as_ref().map(
            |said::UserInfo {
                 user_id,
                 channel_id,
                 source_type,
             }| wire::PaneUser {
                channel_id: channel_id.clone(),
                source_type: source_type.map(source),
                user_id: user_id.clone(),
            },
        ),
        width: Some(width.clone()),
        x: Some(x.clone()),
        y: Some(y.clone()),
        z_order: Some(wire::Leaf(*z_order)),
    }
}

fn user(user: &said::User) -> wire::UserInfo {
    let said::User {
        user_id,
        channel_id,
        stream_type: stream,
        source_type,
    } = user;
    wire::UserInfo {
        channel_id: channel_id.clone(),
        source_type: source_type.map(source),
        stream_type: stream.map(stream_type),
        user_id: user_id.clone(),
    }
}

fn sei_params(sei: &said::Sei) -> wire::SeiParams {
    let said::Sei {
        layout_volume,
        pass_through,
        payload_type,
    } = sei;
    wire::SeiParams {
        layout_volume: layout_volume.as_ref().map(
            |said::LayoutVolume {
                 follow_idr,
                 interval_milliseconds,
             }| wire::LayoutVolume {
                follow_idr: follow_idr.map(wire::Switch),
                interval: interval_milliseconds.map(wire::Leaf),
            },
        ),
        pass_through: pass_through.as_ref().map(
            |said::PassThrough {
                 payload_content,
                 payload_content_key,
                 follow_idr,
                 interval_milliseconds,
             }| wire::PassThrough {
                follow_idr: follow_idr.map(wire::Switch),
                interval: interval_milliseconds.map(wire::Leaf),
                payload_content: payload_content.clone(),
                payload_content_key: payload_content_key.clone(),
            },
        ),
        payload_type: payload_type.map(wire::Leaf),
    }
}

fn site(region: said::Region) -> wire::Region {
    match region {
        said::Region::CnShanghai => wire::Region::CnShanghai,
        said::Region::ApSingapore => wire::Region::ApSingapore,
        said::Region::EmaaSaudi => wire::Region::EmaaSaudi,
    }
}

fn stream_type(stream: said::StreamType) -> wire::StreamType {
    match stream {
        said::StreamType::Original => wire::StreamType::Original,
        said::StreamType::Audio => wire::StreamType::Audio,
        said::StreamType::Video => wire::StreamType::Video,
    }
}

fn source(source: said::SourceType) -> wire::SourceType {
    match source {
        said::SourceType::Camera => wire::SourceType::Camera,
        said::SourceType::ShareScreen => wire::SourceType::ShareScreen,
    }
}

fn fit(mode: said::RenderMode) -> wire::RenderMode {
    match mode {
        said::RenderMode::Fit => wire::RenderMode::Fit,
        said::RenderMode::Crop => wire::RenderMode::Crop,
    }
}

fn codec(codec: said::VideoCodec) -> wire::VideoCodec {
    match codec {
        said::VideoCodec::H264 => wire::VideoCodec::H264,
        said::VideoCodec::H265 => wire::VideoCodec::H265,
    }
}

fn profile(profile: said::Profile) -> wire::Profile {
    match profile {
        said::Profile::Baseline => wire::Profile::Baseline,
        said::Profile::Main => wire::Profile::Main,
        said::Profile::High => wire::Profile::High,
    }
}

fn preset(preset: said::Preset) -> wire::Preset {
    match preset {
        said::Preset::Ultrafast => wire::Preset::Ultrafast,
        said::Preset::Superfast => wire::Preset::Superfast,
        said::Preset::Veryfast => wire::Preset::Veryfast,
        said::Preset::Faster => wire::Preset::Faster,
        said::Preset::Fast => wire::Preset::Fast,
        said::Preset::Medium => wire::Preset::Medium,
        said::Preset::Slow => wire::Preset::Slow,
        said::Preset::Slower => wire::Preset::Slower,
        said::Preset::Veryslow => wire::Preset::Veryslow,
        said::Preset::Placebo => wire::Preset::Placebo,
    }
}

#[cfg(test)]
#[path = "parameters_tests.rs"]
mod tests;
