//! One file a family of requests. A processor answers itself, or returns the refusal to answer.

mod ack;
mod admin_broker;
mod admin_client;
mod admin_group;
mod admin_offset;
mod admin_queue;
mod admin_stats;
mod admin_topic;
mod assignment;
mod attributes;
mod client;
mod lock;
mod offset;
mod pop;
mod pop_read;
mod pop_wake;
mod pop_watch;
pub(crate) mod pull;
mod put;
mod query;
mod registration;
pub(crate) mod relay;
pub(crate) mod reply_message;
mod revive;
mod runtime_info;
mod send;
mod send_back;
mod text;
mod timer;
mod transaction;

use rocketmq_client_core::remoting::{RemotingCommand, RequestCode, ResponseCode};
use rocketmq_client_core::time::Instant;

use crate::asker::{Asker, Refusal};
use crate::broker::Broker;

pub(crate) use client::bad_body;

/// What a processor returns when it answered or, with an error, when it leaves that to the caller.
pub(crate) type Handled = Result<(), Refusal>;

impl Broker {
    pub(crate) fn process(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) {
        let code = command.request_code();
        if let Err(refusal) = self.reject_at_slave(code) {
            return self.replier.refuse(now, asker, &refusal, &[]);
        }
        let is_send = matches!(
            code,
            RequestCode::SEND_MESSAGE | RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE
        );
        if is_send {
            return self.send(now, asker, command);
        }
        if matches!(code, RequestCode::SEND_REPLY_MESSAGE | RequestCode::SEND_REPLY_MESSAGE_V2) {
            return self.reply_message(now, asker, command);
        }
        if code == RequestCode::RECALL_MESSAGE {
            return self.recall_message(now, asker, command);
        }
        if let Err(refusal) = self.process_other(now, asker, command, code) {
            tracing::debug!(%code, response = refusal.code.0, remark = %refusal.remark, "refused");
            self.replier.refuse(now, asker, &refusal, fields_of_refusal(code, &refusal));
        }
    }

    fn process_other(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
        code: RequestCode,
    ) -> Handled {
        match code {
            RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE => self.pull(now, asker, command),
            RequestCode::END_TRANSACTION => self.end_transaction(now, asker, command),
            RequestCode::CONSUMER_SEND_MSG_BACK => self.send_back(now, asker, command),

            RequestCode::POP_MESSAGE => self.pop_message(now, asker, command),
            RequestCode::ACK_MESSAGE => self.ack_message(now, asker, command),
            RequestCode::BATCH_ACK_MESSAGE => self.batch_ack_message(now, asker, command),
            RequestCode::CHANGE_MESSAGE_INVISIBLETIME => self.change_invisible_time(now, asker, command),
            RequestCode::PEEK_MESSAGE => self.peek_message(now, asker, command),
            RequestCode::NOTIFICATION => self.notification(now, asker, command),
            RequestCode::POLLING_INFO => self.polling_info(now, asker, command),

            RequestCode::QUERY_ASSIGNMENT => self.query_assignment(now, asker, command),
            RequestCode::SET_MESSAGE_REQUEST_MODE => self.set_message_request_mode(now, asker, command),
            RequestCode::GET_ALL_MESSAGE_REQUEST_MODE => self.all_message_request_modes(now, asker),

            RequestCode::HEART_BEAT => self.heart_beat(now, asker, command),
            RequestCode::UNREGISTER_CLIENT => self.unregister_client(now, asker, command),
            RequestCode::CHECK_CLIENT_CONFIG => self.check_client_config(now, asker, command),
            RequestCode::GET_CONSUMER_LIST_BY_GROUP => self.consumer_list(now, asker, command),
            RequestCode::LOCK_BATCH_MQ => self.lock_batch(now, asker, command),
            RequestCode::UNLOCK_BATCH_MQ => self.unlock_batch(now, asker, command),

            RequestCode::QUERY_CONSUMER_OFFSET => self.query_consumer_offset(now, asker, command),
            RequestCode::UPDATE_CONSUMER_OFFSET => self.update_consumer_offset(now, asker, command),
            RequestCode::GET_MAX_OFFSET => self.max_offset(now, asker, command),
            RequestCode::GET_MIN_OFFSET => self.min_offset(now, asker, command),
            RequestCode::SEARCH_OFFSET_BY_TIMESTAMP => self.search_offset(now, asker, command),
            RequestCode::GET_EARLIEST_MSG_STORETIME => self.earliest_store_time(now, asker, command),
            RequestCode::INVOKE_BROKER_TO_RESET_OFFSET => self.reset_offset(now, asker, command),

            RequestCode::VIEW_MESSAGE_BY_ID => self.view_message(now, asker, command),
            RequestCode::QUERY_MESSAGE => self.query_message(now, asker, command),

            RequestCode::UPDATE_AND_CREATE_TOPIC => self.update_and_create_topic(now, asker, command),
            RequestCode::UPDATE_AND_CREATE_TOPIC_LIST => self.update_and_create_topics(now, asker, command),
            RequestCode::DELETE_TOPIC_IN_BROKER => self.delete_topic(now, asker, command),
            RequestCode::GET_TOPIC_CONFIG => self.topic_config(now, asker, command),
            RequestCode::GET_ALL_TOPIC_CONFIG => self.all_topic_config(now, asker, command),
            RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_BROKER => self.system_topics(now, asker),

            RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => {
                self.update_and_create_group(now, asker, command)
            }
            RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST => {
                self.update_and_create_groups(now, asker, command)
            }
            RequestCode::UPDATE_AND_GET_GROUP_FORBIDDEN => self.group_forbidden(now, asker, command),
            RequestCode::DELETE_SUBSCRIPTIONGROUP => self.delete_group(now, asker, command),
            RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG => self.group_config(now, asker, command),
            RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => self.all_group_config(now, asker),

            RequestCode::GET_TOPIC_STATS_INFO => self.topic_stats(now, asker, command),
            RequestCode::GET_CONSUME_STATS => self.consume_stats(now, asker, command),
            RequestCode::GET_CONSUMER_CONNECTION_LIST => self.consumer_connections(now, asker, command),
            RequestCode::GET_PRODUCER_CONNECTION_LIST => self.producer_connections(now, asker, command),
            RequestCode::QUERY_TOPIC_CONSUME_BY_WHO => self.topic_consume_by_who(now, asker, command),
            RequestCode::GET_BROKER_RUNTIME_INFO => self.runtime_info(now, asker),

            RequestCode::GET_CONSUMER_RUNNING_INFO => self.running_info(now, asker, command),
            RequestCode::CONSUME_MESSAGE_DIRECTLY => self.consume_directly(now, asker, command),
            RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS => self.consumer_status(now, asker, command),
            RequestCode::GET_ALL_PRODUCER_INFO => self.all_producers(now, asker),
            RequestCode::QUERY_TOPICS_BY_CONSUMER => self.topics_by_consumer(now, asker, command),
            RequestCode::QUERY_SUBSCRIPTION_BY_CONSUMER => self.subscription_of(now, asker, command),
            RequestCode::GET_BROKER_CONSUME_STATS => self.all_consume_stats(now, asker, command),

            RequestCode::GET_ALL_CONSUMER_OFFSET => self.all_offsets(now, asker),
            RequestCode::GET_ALL_DELAY_OFFSET => self.all_delay_offsets(now, asker),
            RequestCode::QUERY_CORRECTION_OFFSET => self.correction_offset(now, asker, command),
            RequestCode::CLONE_GROUP_OFFSET => self.clone_offsets(now, asker, command),
            RequestCode::QUERY_CONSUME_TIME_SPAN => self.time_span(now, asker, command),
            RequestCode::QUERY_CONSUME_QUEUE => self.consume_queue(now, asker, command),
            RequestCode::RESUME_CHECK_HALF_MESSAGE => self.resume_half(now, asker, command),

            RequestCode::GET_BROKER_CONFIG => self.broker_settings(now, asker),
            RequestCode::UPDATE_BROKER_CONFIG => self.change_broker_settings(now, asker, command),
            RequestCode::VIEW_BROKER_STATS_DATA => self.stats_data(now, asker, command),
            RequestCode::GET_BROKER_HA_STATUS => self.ha_status(now, asker),
            // What these clean up is never left over here.
            RequestCode::CLEAN_EXPIRED_CONSUMEQUEUE
            | RequestCode::CLEAN_UNUSED_TOPIC
            | RequestCode::DELETE_EXPIRED_COMMITLOG => {
                self.replier.ok(now, asker);
                Ok(())
            }
            other => Err(admin_broker::refusal_of(other, command)),
        }
    }
}

/// The fields of a refused pop and its kin: in Java their headers hold primitives, which are always written,
/// unless an exception left no header.
fn fields_of_refusal(code: RequestCode, refusal: &Refusal) -> &'static [(&'static str, &'static str)] {
    match code {
        _ if refusal.code == ResponseCode::SYSTEM_ERROR => &[],
        RequestCode::POP_MESSAGE | RequestCode::PEEK_MESSAGE => {
            &[("popTime", "0"), ("invisibleTime", "0"), ("reviveQid", "0"), ("restNum", "0")]
        }
        RequestCode::CHANGE_MESSAGE_INVISIBLETIME => {
            &[("popTime", "0"), ("invisibleTime", "0"), ("reviveQid", "0")]
        }
        RequestCode::NOTIFICATION => &[("hasMsg", "false"), ("pollingFull", "false")],
        RequestCode::POLLING_INFO => &[("pollingNum", "0")],
        _ => &[],
    }
}

/// Java: `NettyRemotingAbstract#processRequestCommand`; the blank in front is Java's.
pub(crate) fn not_supported(code: RequestCode) -> Refusal {
    let remark = format!(" request type {} not supported", code.0);
    Refusal::new(ResponseCode::REQUEST_CODE_NOT_SUPPORTED, remark)
}
