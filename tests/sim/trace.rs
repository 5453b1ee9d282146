//! What a replay prints.

use standin::engine::effect::Effect;
use standin::engine::input::Input;
use standin::engine::message::Body;

/// An input in a line.
pub fn brief(input: &Input) -> String {
    match input {
        Input::Received { link, envelope, .. } => {
            format!(
                "[{}] {} t{} r{}: {:?}",
                link.0,
                envelope.role.word(),
                envelope.term,
                envelope.run.0,
                brief_body(&envelope.body)
            )
        }
        Input::Settings(_) => "settings".into(),
        other => cut(&format!("{other:?}")),
    }
}

fn brief_body(body: &Body) -> String {
    match body {
        Body::Hello(hello) => format!("Hello {:?} head {:?} complete {}", hello.purpose, hello.head, hello.complete),
        Body::Welcome(hello) => format!("Welcome {:?} head {:?}", hello.purpose, hello.head),
        other => cut(&format!("{other:?}")),
    }
}

/// An effect in a line.
pub fn brief_effect(effect: &Effect) -> String {
    match effect {
        Effect::Send { link, envelope } => {
            format!("send [{}] {} t{}: {}", link.0, envelope.role.word(), envelope.term, brief_body(&envelope.body))
        }
        Effect::Persist { durable, .. } => format!(
            "persist {:?} term {} known {} note {} promise {:?}/{:?} offer {:?} wanted {}/{}",
            durable.role,
            durable.term,
            durable.known_term,
            durable.may_take_over,
            durable.own_promise,
            durable.peer_promise,
            durable.offer,
            durable.connect_wanted,
            durable.complete_wanted
        ),
        Effect::Note(event) => format!("NOTE {}", event.text),
        other => cut(&format!("{other:?}")),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(180).collect()
}
