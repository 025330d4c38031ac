//! The scenarios, by what they are about.

mod errors;
mod send;

use crate::suite::Entry;

macro_rules! scenarios {
    ($($module:ident::$name:ident),* $(,)?) => {
        /// All of them, in the order in which they are run.
        pub const ALL: &[Entry] = &[$(Entry {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |scenario| Box::pin($module::$name(scenario)),
        }),*];
    };
}

scenarios! {
    send::a_receipt_names_queue_and_offset,
    send::many_in_flight_have_offsets_of_their_own,
    send::one_way_arrives,
    send::a_key_goes_to_one_queue,
    send::a_fixed_queue_is_kept,
    send::tags_keys_properties_and_flag_arrive,
    send::a_large_body_is_compressed_on_the_way,
    send::an_unknown_topic_is_created,
    errors::an_unknown_topic_without_template,
    errors::an_invalid_topic_name,
    errors::a_body_too_large,
}
