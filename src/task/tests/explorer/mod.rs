//! `plan` in small worlds, exhaustively: every order of what the process, the service, the API server and people can do, with every answer that
//! matters, within a budget of faults. Time goes on in ticks, and is relative (`time.rs`), so that a world is finite.
//!
//! What is executed is the shipped `plan`, with its memory, ledger and trail; `process.rs` does with a step what `reconcile` does. What is not
//! explored: waking (everybody is looked at whenever anything changes), the quota, Secrets, `maxDurationSeconds`, and the evidence of an empty
//! channel, which takes longer than a world remembers.

mod environment;
mod laws;
mod process;
mod search;
mod service;
mod time;
mod world;

use search::explore;
use serde_json::{Value, json};
use world::{Budget, Cast, Edits, Nothing, World, paces};

/// No world has more states.
const MOST: usize = 1_000_000;

const NOTHING_FAILS: Budget = Budget {
    faults: 0,
    lost_writes: 0,
    crashes: 0,
    edits: 0,
    outside: 0,
    drifts: 0,
};

/// One relay whose id is made from its uid.
fn alone(name: &'static str, budget: Budget) -> World {
    World {
        name,
        casts: vec![Cast::new("uid-1", 0, ["one", "one"], &json!({}))],
        stop_of_nothing: Nothing::NotFound,
        list_refuses_unknown: false,
        list_lags: false,
        is_slow: false,
        edits: Edits::Both,
        has_others: false,
        is_taken: false,
        is_about_drops: false,
        begins_live: true,
        budget,
        paces: paces(),
    }
}

/// One relay whose task is named: somebody else may have a task of that name.
fn named(name: &'static str, budget: Budget) -> World {
    let spec = json!({"taskId": "final-42", "restartPolicy": "WhenChannelReturns"});
    World {
        casts: vec![Cast::new("uid-1", 0, ["one", "two"], &spec)],
        has_others: true,
        ..alone(name, budget)
    }
}

/// Two relays; the second one comes at any moment.
fn two(name: &'static str, slots: [usize; 2], spec: &Value, budget: Budget) -> World {
    let mut casts = vec![
        Cast::new("uid-1", slots[0], ["one", "two"], spec),
        Cast::new("uid-2", slots[1], ["one", "two"], spec),
    ];
    casts[1].is_first = false;
    World {
        casts,
        ..alone(name, budget)
    }
}

fn holds(world: &World) {
    if let Err(trace) = explore(world, MOST, 16) {
        panic!("{trace}");
    }
}

#[test]
fn a_relay_whose_calls_fail() {
    let budget = Budget {
        faults: 2,
        crashes: 1,
        ..NOTHING_FAILS
    };
    holds(&alone("calls fail, the process dies", budget));
}

#[test]
fn a_relay_whose_answers_are_slow() {
    let budget = Budget {
        faults: 1,
        ..NOTHING_FAILS
    };
    holds(&World {
        is_slow: true,
        ..alone("answers are slow", budget)
    });
}

#[test]
fn a_relay_whose_writes_are_lost() {
    let budget = Budget {
        lost_writes: 1,
        crashes: 1,
        ..NOTHING_FAILS
    };
    holds(&alone("writes are lost", budget));
}

#[test]
fn a_relay_that_is_stopped_and_started() {
    let budget = Budget {
        faults: 1,
        edits: 2,
        ..NOTHING_FAILS
    };
    holds(&World {
        edits: Edits::DesiredState,
        ..alone("desiredState changes", budget)
    });
}

#[test]
fn a_relay_that_gets_other_parameters() {
    let budget = Budget {
        faults: 1,
        edits: 2,
        ..NOTHING_FAILS
    };
    holds(&World {
        edits: Edits::Parameters,
        ..alone("the parameters change", budget)
    });
}

#[test]
fn a_relay_whose_channel_comes_and_goes() {
    let budget = Budget {
        faults: 1,
        outside: 1,
        drifts: 1,
        ..NOTHING_FAILS
    };
    holds(&alone("the channel comes and goes", budget));
}

#[test]
fn a_relay_that_starts_again_with_its_channel() {
    let budget = Budget {
        outside: 2,
        ..NOTHING_FAILS
    };
    holds(&World {
        has_others: false,
        ..named("it starts again with its channel", budget)
    });
}

#[test]
fn a_name_that_others_use() {
    let budget = Budget {
        faults: 1,
        outside: 1,
        ..NOTHING_FAILS
    };
    holds(&named("others use the name", budget));
}

#[test]
fn a_name_that_is_taken() {
    let budget = Budget {
        faults: 1,
        crashes: 1,
        ..NOTHING_FAILS
    };
    holds(&World {
        has_others: false,
        is_taken: true,
        ..named("the name is taken", budget)
    });
}

#[test]
fn a_name_and_breaks() {
    let budget = Budget {
        faults: 1,
        crashes: 1,
        edits: 1,
        ..NOTHING_FAILS
    };
    holds(&World {
        has_others: false,
        edits: Edits::DesiredState,
        ..named("a named task has breaks", budget)
    });
}

#[test]
fn a_list_that_lags_and_breaks() {
    let budget = Budget {
        faults: 1,
        edits: 2,
        ..NOTHING_FAILS
    };
    holds(&World {
        has_others: false,
        list_lags: true,
        edits: Edits::DesiredState,
        ..named("a named task has breaks while the list lags", budget)
    });
}

#[test]
fn a_list_that_lags() {
    let budget = Budget {
        faults: 1,
        ..NOTHING_FAILS
    };
    holds(&World {
        list_lags: true,
        ..named("the list lags", budget)
    });
}

#[test]
fn a_service_that_says_internal_error_for_nothing() {
    let budget = Budget {
        faults: 1,
        ..NOTHING_FAILS
    };
    holds(&World {
        stop_of_nothing: Nothing::InternalError,
        ..alone("InternalError stands for nothing", budget)
    });
}

#[test]
fn a_service_that_accepts_to_stop_nothing() {
    let budget = Budget {
        faults: 1,
        crashes: 1,
        ..NOTHING_FAILS
    };
    holds(&World {
        stop_of_nothing: Nothing::Accepted,
        ..alone("Stop of nothing is accepted", budget)
    });
}

#[test]
fn a_list_that_refuses_unknown_ids() {
    let budget = Budget {
        faults: 1,
        crashes: 1,
        drifts: 1,
        ..NOTHING_FAILS
    };
    holds(&World {
        list_refuses_unknown: true,
        ..alone("the list refuses unknown ids", budget)
    });
}

#[test]
fn two_objects_of_one_task() {
    let budget = Budget {
        faults: 1,
        ..NOTHING_FAILS
    };
    let spec = json!({"taskId": "final-42"});
    holds(&two("two objects name one task", [0, 0], &spec, budget));
}

#[test]
fn two_objects_of_one_task_and_a_crash() {
    let budget = Budget {
        crashes: 1,
        ..NOTHING_FAILS
    };
    let spec = json!({"taskId": "final-42"});
    let name = "two objects name one task, the process dies";
    holds(&two(name, [0, 0], &spec, budget));
}

#[test]
fn two_objects_of_one_output() {
    holds(&two(
        "two objects name one output",
        [0, 1],
        &json!({}),
        NOTHING_FAILS,
    ));
}

#[test]
fn an_output_that_is_left_to_another_object() {
    let budget = Budget {
        lost_writes: 1,
        edits: 1,
        ..NOTHING_FAILS
    };
    holds(&World {
        edits: Edits::Parameters,
        is_about_drops: true,
        ..two(
            "an output is left to another object",
            [0, 1],
            &json!({}),
            budget,
        )
    });
}
