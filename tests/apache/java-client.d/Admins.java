import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.body.CMResult;
import org.apache.rocketmq.remoting.protocol.body.ConsumeMessageDirectlyResult;
import org.apache.rocketmq.remoting.protocol.body.ConsumerConnection;
import org.apache.rocketmq.remoting.protocol.body.ConsumerRunningInfo;
import org.apache.rocketmq.remoting.protocol.heartbeat.ConsumeType;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** What administrators do to running clients. */
final class Admins {
    private Admins() {
    }

    static void add(Map<String, JavaClient.Scenario> all) {
        all.put("admin-reset-offset", Admins::resetOffset);
        all.put("admin-looks-at-a-consumer", Admins::look);
    }

    private static void resetOffset(Place place) throws Exception {
        place.send(place.producer(), 5);
        BlockingQueue<MessageExt> arrived = place.consumeAll("*");
        Place.same(Place.numbers(5), Place.next(arrived, 5));
        place.admin().resetOffsetByTimestamp(place.topic, place.group, 0, true);
        Place.same(Place.numbers(5), Place.next(arrived, 5));
    }

    private static void look(Place place) throws Exception {
        place.send(place.producer(), 1);
        BlockingQueue<MessageExt> arrived = new LinkedBlockingQueue<>();
        DefaultMQPushConsumer consumer = place.consumer();
        consumer.subscribe(place.topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            arrived.addAll(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        place.start(consumer);
        MessageExt message = Place.next(arrived);
        DefaultMQAdminExt admin = place.admin();

        ConsumerConnection connections = admin.examineConsumerConnectionInfo(place.group);
        Place.same(ConsumeType.CONSUME_PASSIVELY, connections.getConsumeType());
        Place.same(1, connections.getConnectionSet().size());
        String client = connections.getConnectionSet().iterator().next().getClientId();
        Place.check(connections.getSubscriptionTable().containsKey(place.topic), "the topic isn't subscribed");

        ConsumerRunningInfo running = admin.getConsumerRunningInfo(place.group, client, false);
        Place.same(place.group, running.getProperties().getProperty("consumerGroup"));
        Place.check(running.getSubscriptionSet().stream().anyMatch(one -> one.getTopic().equals(place.topic)),
            "the client doesn't tell its subscription");

        ConsumeMessageDirectlyResult direct =
            admin.consumeMessageDirectly(place.group, client, place.topic, message.getMsgId());
        Place.same(CMResult.CR_SUCCESS, direct.getConsumeResult());
        Place.same(message.getMsgId(), Place.next(arrived).getMsgId());

        Place.check(admin.queryTopicConsumeByWho(place.topic).getGroupList().contains(place.group),
            "the broker doesn't know who consumes the topic");
        Place.check(admin.examineTopicStats(place.topic).getOffsetTable().values().stream()
            .mapToLong(offset -> offset.getMaxOffset() - offset.getMinOffset()).sum() == 1, "the topic holds one message");
    }
}
