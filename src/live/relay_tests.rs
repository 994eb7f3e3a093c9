use super::*;
use crate::live::wire::{
    EncodeParams, EnhancedParam, Layout, LayoutVolume, Leaf, PaneUser, Profile, UserPane,
};

fn output(url: &str, ali_cdn: Option<bool>) -> Output {
    Output::new(url.into(), ali_cdn).unwrap_or_else(|error| unreachable!("{error}"))
}

fn channel(id: &str) -> ChannelId {
    ChannelId::try_from(id).unwrap_or_else(|error| unreachable!("{error}"))
}

fn user(id: &str) -> SingleSubParams {
    SingleSubParams {
        source_type: None,
        stream_type: None,
        user_id: id.to_owned(),
    }
}

fn single(outputs: Vec<Output>) -> Relay {
    Relay {
        channel: channel("c"),
        region: None,
        max_idle: None,
        outputs,
        media: Media::Single(user("u")),
        sei: None,
    }
}

fn told(parameters: &Parameters) -> Vec<(&'static str, &str)> {
    let mut told: Vec<_> = parameters
        .iter()
        .map(|(name, value)| (*name, value.expose_secret()))
        .collect();
    told.sort_unstable();
    told
}

/// Dossier 3.1, "Observed wire form": the two requests.
#[test]
fn the_observed_requests() {
    let mixed = Relay {
        media: Media::Mixed(Box::new(TranscodeParams {
            encode_params: EncodeParams {
                audio_only: Some(Leaf(false)),
                enhanced_param: Some(EnhancedParam {
                    profile: Some(Profile::High),
                    preset: None,
                }),
                ..EncodeParams::default()
            },
            layout: Some(Layout {
                user_panes: vec![UserPane {
                    x: Some("0.1".to_owned()),
                    user_info: Some(PaneUser {
                        user_id: Some("...".to_owned()),
                        ..PaneUser::default()
                    }),
                    ..UserPane::default()
                }],
            }),
            ..TranscodeParams::default()
        })),
        sei: Some(SeiParams {
            layout_volume: Some(LayoutVolume {
                follow_idr: None,
                interval: Some(Leaf(1000)),
            }),
            ..SeiParams::default()
        }),
        ..single(vec![output("rtmp://x/y", None)])
    };
    assert_eq!(
        told(&mixed.start_parameters()),
        [
            ("ChannelId", "c"),
            ("MixMode", "1"),
            ("SeiParams", r#"{"LayoutVolume":{"Interval":"1000"}}"#),
            ("StreamURL", "rtmp://x/y"),
            (
                "TranscodeParams",
                r#"{"EncodeParams":{"AudioOnly":"false","EnhancedParam":"{\"profile\":\"high\"}"},"Layout":{"UserPanes":[{"UserInfo":{"UserId":"..."},"X":"0.1"}]},"UserInfos":[]}"#
            ),
        ]
    );
    assert_eq!(
        told(&single(vec![output("rtmp://x/y", Some(true))]).start_parameters()),
        [
            ("ChannelId", "c"),
            ("MixMode", "0"),
            (
                "MultiStreamURL",
                r#"[{"IsAliCdn":true,"URL":"rtmp://x/y"}]"#
            ),
            ("SingleSubParams", r#"{"UserId":"u"}"#),
        ]
    );
}

#[test]
fn update_sends_all_but_what_start_fixed() {
    let relay = Relay {
        region: Some(Region::EmaaSaudi),
        max_idle: Some(Duration::from_mins(2)),
        sei: Some(SeiParams {
            payload_type: Some(Leaf(110)),
            ..SeiParams::default()
        }),
        ..single(vec![output("rtmp://x/y", None)])
    };
    let start = relay.start_parameters();
    let fixed = [
        ("MaxIdleTime", "120"),
        ("Region", "EMAA-Saudi"),
        ("SeiParams", r#"{"PayloadType":"110"}"#),
    ];
    for parameter in fixed {
        assert!(told(&start).contains(&parameter), "{parameter:?}");
    }
    assert_eq!(
        told(&relay.update_parameters()),
        [
            ("ChannelId", "c"),
            ("MixMode", "0"),
            ("SeiParams", "{}"),
            ("SingleSubParams", r#"{"UserId":"u"}"#),
            ("StreamURL", "rtmp://x/y"),
        ]
    );
}

#[test]
fn the_hash_moves_with_what_update_sends_and_with_nothing_else() {
    let relay = single(vec![output("rtmp://x/y?auth_key=1", None)]);
    let hash = relay.hash("uid");
    assert_eq!(hash.len(), 16);
    let same = Relay {
        region: Some(Region::ApSingapore),
        max_idle: Some(Duration::from_secs(10)),
        ..relay.clone()
    };
    assert_eq!(same.hash("uid"), hash);
    assert_ne!(relay.hash("uid2"), hash);
    for other in [
        single(vec![output("rtmp://x/y?auth_key=2", None)]),
        single(vec![output("rtmp://x/y?auth_key=1", Some(false))]),
        Relay {
            media: Media::Single(user("v")),
            ..relay.clone()
        },
        Relay {
            sei: Some(SeiParams::default()),
            ..relay.clone()
        },
        Relay {
            channel: channel("d"),
            ..relay
        },
    ] {
        assert_ne!(other.hash("uid"), hash, "{other:?}");
    }
}

#[test]
fn outputs_are_told_once_and_in_order() {
    let (a, b) = ("rtmp://h/a?auth_key=1", "rtmp://h/b");
    let forth = single(vec![output(a, None), output(b, None)]);
    let back = single(vec![
        output(b, None),
        output("rtmp://H:1935/a", None),
        output(a, None),
    ]);
    assert_eq!(forth.output_ids(), back.output_ids());
    assert_eq!(forth.output_ids().len(), 2);
    assert!(forth.output_ids().is_sorted());
}

#[test]
fn debug_shows_no_address() {
    let relay = single(vec![output(
        "rtmp://h.example/live/KEY?auth_key=KEY",
        Some(true),
    )]);
    let shown = format!(
        "{relay:?} {relay:#?} {:?} {:?}",
        relay.start_parameters(),
        relay.update_parameters()
    );
    assert!(
        !shown.contains("KEY") && !shown.contains("h.example"),
        "{shown}"
    );
    assert!(shown.contains("mix_mode: \"0\""), "{shown}");
}
