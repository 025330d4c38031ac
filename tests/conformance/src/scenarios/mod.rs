//! The scenarios, by what they are about.

mod batch;
mod bodies;
mod cancel;
mod close;
mod consume;
mod errors;
mod group;
mod moved;
mod network;
mod retry;
mod send;
mod steering;
mod unread;

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
    send::a_selector_chooses_the_queue,
    send::a_fixed_queue_is_kept,
    send::tags_keys_properties_and_flag_arrive,
    send::an_unknown_topic_is_created,
    send::a_warm_up_finds_topics_before_the_first_send,
    send::a_dropped_send_disturbs_nobody,
    send::what_finds_no_room_is_handed_back,
    send::another_broker_takes_what_the_first_does_not,
    batch::its_messages_lie_in_order_in_one_queue,
    batch::its_messages_are_consumed_one_by_one,
    batch::it_is_not_compressed,
    batch::it_goes_where_it_is_sent,
    batch::another_broker_takes_it,
    batch::what_can_not_go_together_is_told,
    errors::an_unknown_topic_without_template,
    errors::an_invalid_topic_name,
    errors::a_body_too_large,
    consume::from_the_first_offset,
    consume::a_new_group_on_a_young_topic_begins_at_zero,
    consume::only_the_tags_that_were_subscribed,
    consume::a_message_arrives_as_it_was_sent,
    consume::handlers_inside_a_future_until_it_is_told_to_stop,
    consume::handlers_on_threads,
    consume::two_topics_in_one_group,
    consume::a_new_message_ends_the_wait_for_one,
    consume::a_stream_shows_an_undecodable_message,
    consume::a_queue_with_enough_unanswered_messages_is_not_pulled,
    bodies::every_compression_is_written_and_read,
    bodies::a_body_that_can_not_be_inflated_is_told_and_becomes_a_dead_letter,
    bodies::a_record_that_can_not_be_read_is_told_and_passed_over,
    bodies::a_body_with_a_wrong_crc_is_told_and_becomes_a_dead_letter,
    steering::a_message_that_is_kept_too_long_comes_again,
    steering::a_suspended_consumer_waits_until_it_is_resumed,
    steering::messages_of_a_batch_are_answered_one_by_one,
    steering::more_handlers_can_run_from_one_moment_to_the_next,
    steering::a_consumer_that_has_enough_says_so_and_goes_on,
    retry::a_message_comes_again_under_its_own_topic,
    retry::a_handler_that_panics_gets_its_message_again,
    retry::a_delivery_without_an_answer_comes_again,
    retry::after_the_last_try_it_is_a_dead_letter,
    retry::a_handler_can_ask_for_the_dead_letters,
    group::two_members_share_and_nothing_comes_twice,
    group::every_strategy_gives_each_message_to_one_member,
    group::a_member_joins_midway,
    group::a_member_leaves_and_the_rest_goes_on,
    group::a_member_dies_and_its_messages_come_again,
    group::queues_that_are_added_are_used,
    unread::queues_that_nobody_reads_are_told,
    moved::a_reset_backward_begins_again_there,
    moved::a_reset_forward_goes_on_there,
    moved::a_topic_that_is_made_anew_is_consumed_from_its_first_message,
    moved::what_handlers_have_below_a_lost_tail_is_finished,
    close::the_next_consumer_goes_on_where_the_last_one_ended,
    close::closing_under_load_loses_nothing_and_adds_up,
    close::closing_while_handlers_are_slow_commits_all_that_was_done,
    close::closing_lets_handlers_end,
    close::an_unfinished_message_holds_the_offset,
    close::two_clients_have_nothing_to_do_with_each_other,
    close::closing_tells_every_send_how_it_ended,
    close::a_second_close_joins_and_shortens_the_first,
    close::a_stop_during_a_start_is_no_error,
    close::dropping_every_handle_ends_the_client,
    close::a_dropped_consumer_leaves_its_messages_to_the_next,
    network::sends_go_on_after_the_connection_was_cut,
    network::consuming_goes_on_after_the_connection_was_cut,
    network::a_broker_out_of_reach_is_named_and_comes_back,
    network::a_broker_that_refuses_connections_is_named,
    network::a_silent_broker_leaves_the_outcome_unknown,
    network::the_second_name_server_serves_when_the_first_is_gone,
    network::a_new_topic_is_found_when_the_name_server_in_use_is_lost,
    network::a_broker_that_moves_is_found_at_its_new_address,
    network::sends_go_on_without_a_name_server,
    network::a_name_server_that_is_not_there,
    network::a_name_server_that_has_no_address,
    cancel::a_connect,
    cancel::a_send,
    cancel::a_start,
    cancel::a_wait_for_the_next_message,
    cancel::a_run,
    cancel::a_close,
}
