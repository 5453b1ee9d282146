//! `standin reconnect`: drop the link and do a complete transfer, from either side (spec 5.5).

use super::client::{Client, unexpected};
use super::home::Context;
use super::output::{Exit, Outcome, Output};
use crate::engine::order::{Order, Reply};

/// Gives the order.
///
/// # Errors
/// Its refusal.
pub fn run(context: &Context, out: &mut Output) -> Outcome {
    plain_order(context, Order::Reconnect, out)
}

/// For the many orders whose answer is one sentence.
///
/// # Errors
/// The refusal of the order.
pub fn plain_order(context: &Context, order: Order, out: &mut Output) -> Outcome {
    let mut client = Client::connect(&context.home)?;
    told(client.order(order)?, out)
}

/// Prints the sentence of a done order.
///
/// # Errors
/// When it is none.
pub fn told(reply: Reply, out: &mut Output) -> Outcome {
    match reply {
        Reply::Done(text) => out.line(&text)?,
        _ => return Err(unexpected().into()),
    }
    Ok(Exit::Done)
}
