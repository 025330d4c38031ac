import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageRequestMode;
import org.apache.rocketmq.remoting.protocol.body.ClusterInfo;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** Push consumers whose broker was told to let them pop. */
final class Pops {
    private Pops() {
    }

    static void add(Map<String, JavaClient.Scenario> all) {
        all.put("pop-retry", Pops::retry);
        all.put("pop-two-share", Pops::share);
        all.put("pop-wait", Pops::waiting);
        all.put("pop-tags", Pops::tags);
    }

    /** Creates the topic and lets the group pop it. */
    private static DefaultMQProducer prepared(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        producer.createTopic("TBW102", place.topic, 4, Collections.emptyMap());
        DefaultMQAdminExt admin = place.admin();
        ClusterInfo cluster = admin.examineBrokerClusterInfo();
        for (BrokerData broker : cluster.getBrokerAddrTable().values()) {
            admin.setMessageRequestMode(broker.selectBrokerAddr(), place.topic, place.group, MessageRequestMode.POP, 0, 10_000);
        }
        return producer;
    }

    private static DefaultMQPushConsumer consumer(Place place, MessageListenerConcurrently listener) throws Exception {
        DefaultMQPushConsumer consumer = place.consumer();
        consumer.setClientRebalance(false);
        consumer.subscribe(place.topic, "*");
        consumer.registerMessageListener(listener);
        return consumer;
    }

    private static MessageListenerConcurrently taking(BlockingQueue<MessageExt> arrived) {
        return (messages, context) -> {
            arrived.addAll(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        };
    }

    private static void checkPopped(MessageExt message) {
        Place.check(message.getProperty("POP_CK") != null, "the message was pulled, not popped");
    }

    private static void share(Place place) throws Exception {
        DefaultMQProducer producer = prepared(place);
        BlockingQueue<MessageExt> arrived = new LinkedBlockingQueue<>();
        for (int n = 0; n < 2; n++) {
            place.start(consumer(place, taking(arrived)));
        }
        place.send(producer, 60);
        Set<String> bodies = new HashSet<>();
        for (int n = 0; n < 60; n++) {
            MessageExt message = Place.next(arrived);
            checkPopped(message);
            Place.check(bodies.add(Place.text(message)), "message " + Place.text(message) + " came twice");
        }
        Place.same(Place.numbers(60), bodies);
    }

    private static void waiting(Place place) throws Exception {
        DefaultMQProducer producer = prepared(place);
        BlockingQueue<MessageExt> arrived = new LinkedBlockingQueue<>();
        place.start(consumer(place, taking(arrived)));
        producer.send(place.message("first"));
        checkPopped(Place.next(arrived));
        // Now a pop waits at the broker; ten messages wake it one after the other.
        for (int n = 0; n < 10; n++) {
            producer.send(place.message(Integer.toString(n)));
            Place.same(Integer.toString(n), Place.text(Place.next(arrived)));
        }
    }

    private static void tags(Place place) throws Exception {
        DefaultMQProducer producer = prepared(place);
        BlockingQueue<MessageExt> arrived = new LinkedBlockingQueue<>();
        DefaultMQPushConsumer consumer = consumer(place, taking(arrived));
        consumer.subscribe(place.topic, "a || c");
        place.start(consumer);
        for (String tag : List.of("a", "b", "c", "b", "a")) {
            producer.send(new Message(place.topic, tag, tag.getBytes()));
        }
        List<String> bodies = new ArrayList<>();
        for (int n = 0; n < 3; n++) {
            MessageExt message = Place.next(arrived);
            checkPopped(message);
            bodies.add(Place.text(message));
        }
        Collections.sort(bodies);
        Place.same(List.of("a", "a", "c"), bodies);
    }

    private static void retry(Place place) throws Exception {
        DefaultMQProducer producer = prepared(place);
        BlockingQueue<MessageExt> arrived = new LinkedBlockingQueue<>();
        CountDownLatch failures = new CountDownLatch(1);
        place.start(consumer(place, (messages, context) -> {
            boolean fail = messages.stream().anyMatch(
                message -> Place.text(message).equals("fail") && message.getReconsumeTimes() == 0);
            if (fail) {
                failures.countDown();
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            arrived.addAll(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        }));
        producer.send(place.message("fail"));
        Place.await(failures, "a first delivery");
        producer.send(place.message("fine"));
        // Java's first wait is ten seconds, and the broker looks a few seconds later; yet a real broker may
        // miss to wake a pop that is about to wait, and "fine" then comes with the next.
        MessageExt one = Place.next(arrived);
        MessageExt other = Place.next(arrived);
        MessageExt again = Place.text(one).equals("fail") ? one : other;
        Place.same(Set.of("fail", "fine"), Set.of(Place.text(one), Place.text(other)));
        Place.same(1, again.getReconsumeTimes());
        Place.same(place.topic, again.getTopic());
        checkPopped(again);
    }
}
