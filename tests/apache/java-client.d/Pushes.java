import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageQueueListener;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** Push consumers: concurrent, orderly, broadcast; retries, dead letters, offsets. */
final class Pushes {
    private Pushes() {
    }

    static void add(Map<String, JavaClient.Scenario> all) {
        all.put("push-retry", Pushes::retry);
        all.put("push-dead-letter", Pushes::deadLetter);
        all.put("push-two-share", place -> share(place, true));
        all.put("push-two-share-by-the-broker", place -> share(place, false));
        all.put("push-tags", Pushes::tags);
        all.put("push-resume", Pushes::resume);
        all.put("push-orderly", Pushes::orderly);
        all.put("push-orderly-suspend", Pushes::suspend);
        all.put("push-orderly-hand-over", Pushes::handOver);
        all.put("push-broadcast", Pushes::broadcast);
    }

    /** A consumer that takes everything, with a latch for the time when it has this many queues. */
    static DefaultMQPushConsumer taker(Place place, BlockingQueue<MessageExt> arrived, int queues, CountDownLatch owns)
        throws Exception {
        DefaultMQPushConsumer consumer = place.consumer();
        consumer.subscribe(place.topic, "*");
        consumer.setMessageQueueListener((String topic, Set<MessageQueue> all, Set<MessageQueue> own) -> {
            if (topic.equals(place.topic) && own.size() == queues) {
                owns.countDown();
            }
        });
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            arrived.addAll(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        return consumer;
    }

    private static void share(Place place, boolean byClient) throws Exception {
        DefaultMQProducer producer = place.producer();
        producer.createTopic("TBW102", place.topic, 4, Collections.emptyMap());
        BlockingQueue<MessageExt> one = new LinkedBlockingQueue<>();
        BlockingQueue<MessageExt> other = new LinkedBlockingQueue<>();
        CountDownLatch owns = new CountDownLatch(2);
        for (BlockingQueue<MessageExt> arrived : List.of(one, other)) {
            DefaultMQPushConsumer consumer = taker(place, arrived, 2, new Once(owns));
            consumer.setClientRebalance(byClient);
            place.start(consumer);
        }
        Place.await(owns, "two consumers with two queues each");
        for (int n = 0; n < 16; n++) {
            producer.send(place.message(Integer.toString(n)),
                (queues, message, wanted) -> queues.get((Integer) wanted % 4), n);
        }
        Set<String> all = new HashSet<>(Place.next(one, 8));
        all.addAll(Place.next(other, 8));
        Place.same(Place.numbers(16), all);
    }

    /** Counts another latch down once. */
    private static final class Once extends CountDownLatch {
        private final AtomicBoolean done = new AtomicBoolean();
        private final CountDownLatch latch;

        Once(CountDownLatch latch) {
            super(1);
            this.latch = latch;
        }

        @Override
        public void countDown() {
            if (done.compareAndSet(false, true)) {
                latch.countDown();
            }
        }
    }

    private static void tags(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        for (String tag : List.of("a", "b", "c")) {
            producer.send(new Message(place.topic, tag, tag.getBytes()));
        }
        Place.same(Set.of("a", "c"), Place.next(place.consumeAll("a || c"), 2));
    }

    private static void retry(Place place) throws Exception {
        place.producer().send(place.message("x"));
        BlockingQueue<MessageExt> arrived = new LinkedBlockingQueue<>();
        DefaultMQPushConsumer consumer = place.consumer();
        consumer.subscribe(place.topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            arrived.addAll(messages);
            context.setDelayLevelWhenNextConsume(1);
            return messages.get(0).getReconsumeTimes() == 0
                ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        place.start(consumer);
        MessageExt first = Place.next(arrived);
        Place.same(0, first.getReconsumeTimes());
        MessageExt again = Place.next(arrived);
        Place.same(1, again.getReconsumeTimes());
        Place.same(place.topic, again.getTopic());
        Place.same(first.getMsgId(), again.getMsgId());
    }

    private static void deadLetter(Place place) throws Exception {
        place.producer().send(place.message("x"));
        CountDownLatch tries = new CountDownLatch(2);
        DefaultMQPushConsumer consumer = place.consumer();
        consumer.setMaxReconsumeTimes(1);
        consumer.subscribe(place.topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            tries.countDown();
            context.setDelayLevelWhenNextConsume(1);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        place.start(consumer);
        Place.await(tries, "two tries");
        Place dead = place.elsewhere("%DLQ%" + place.group);
        MessageExt letter = Place.next(dead.consumeAll("*"));
        Place.same("x", Place.text(letter));
        Place.same(2, letter.getReconsumeTimes());
    }

    private static void resume(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        place.send(producer, 5);
        BlockingQueue<MessageExt> first = new LinkedBlockingQueue<>();
        DefaultMQPushConsumer consumer = taker(place, first, 4, new CountDownLatch(1));
        consumer.setAwaitTerminationMillisWhenShutdown(Place.DEADLINE_SECONDS * 1_000);
        place.start(consumer);
        Place.same(Place.numbers(5), Place.next(first, 5));
        // Waits for the listener's last answer, and commits.
        consumer.shutdown();
        producer.send(place.message("new"));
        Place.same("new", Place.text(Place.next(place.consumeAll("*"))));
    }

    private static void orderly(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        for (int n = 0; n < 40; n++) {
            producer.send(place.message(Integer.toString(n)),
                (queues, message, wanted) -> queues.get((Integer) wanted % 2), n);
        }
        BlockingQueue<MessageExt> arrived = new LinkedBlockingQueue<>();
        DefaultMQPushConsumer consumer = place.consumer();
        consumer.subscribe(place.topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            arrived.addAll(messages);
            return ConsumeOrderlyStatus.SUCCESS;
        });
        place.start(consumer);
        int[] next = {0, 1};
        for (int n = 0; n < 40; n++) {
            int found = Integer.parseInt(Place.text(Place.next(arrived)));
            Place.same(next[found % 2], found);
            next[found % 2] += 2;
        }
    }

    private static void suspend(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        for (int n = 0; n < 3; n++) {
            producer.send(place.message(Integer.toString(n)), (queues, message, argument) -> queues.get(0), null);
        }
        BlockingQueue<MessageExt> arrived = new LinkedBlockingQueue<>();
        AtomicBoolean failed = new AtomicBoolean();
        DefaultMQPushConsumer consumer = place.consumer();
        consumer.subscribe(place.topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            arrived.addAll(messages);
            context.setSuspendCurrentQueueTimeMillis(100);
            return failed.compareAndSet(false, true)
                ? ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT : ConsumeOrderlyStatus.SUCCESS;
        });
        place.start(consumer);
        for (String expected : List.of("0", "0", "1", "2")) {
            Place.same(expected, Place.text(Place.next(arrived)));
        }
    }

    /** A second consumer takes over some queues; the order within a queue stays. */
    private static void handOver(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        producer.createTopic("TBW102", place.topic, 4, Collections.emptyMap());
        BlockingQueue<MessageExt> arrived = new LinkedBlockingQueue<>();
        CountDownLatch ownsHalf = new CountDownLatch(1);
        for (int n = 0; n < 2; n++) {
            DefaultMQPushConsumer consumer = place.consumer();
            consumer.subscribe(place.topic, "*");
            if (n == 1) {
                consumer.setMessageQueueListener((topic, all, own) -> {
                    if (topic.equals(place.topic) && own.size() == 2) {
                        ownsHalf.countDown();
                    }
                });
            }
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                arrived.addAll(messages);
                return ConsumeOrderlyStatus.SUCCESS;
            });
            place.start(consumer);
            sendToEach(place, producer, n * 20, n * 20 + 20);
        }
        Place.await(ownsHalf, "a second consumer with two queues");
        sendToEach(place, producer, 40, 60);
        int[] next = new int[4];
        for (int left = 4 * 60; left > 0; ) {
            MessageExt message = Place.next(arrived);
            int found = Integer.parseInt(Place.text(message));
            int queue = message.getQueueId();
            // What was consumed and not yet committed may come again; nothing may be left out.
            Place.check(found <= next[queue], "queue " + queue + ": " + found + " before " + next[queue]);
            if (found == next[queue]) {
                next[queue]++;
                left--;
            }
        }
    }

    private static void sendToEach(Place place, DefaultMQProducer producer, int from, int to) throws Exception {
        for (int n = from; n < to; n++) {
            for (int queue = 0; queue < 4; queue++) {
                producer.send(place.message(Integer.toString(n)),
                    (queues, message, wanted) -> queues.get((Integer) wanted), queue);
            }
        }
    }

    private static void broadcast(Place place) throws Exception {
        place.send(place.producer(), 10);
        for (int n = 0; n < 2; n++) {
            BlockingQueue<MessageExt> arrived = new LinkedBlockingQueue<>();
            DefaultMQPushConsumer consumer = taker(place, arrived, 4, new CountDownLatch(1));
            consumer.setMessageModel(MessageModel.BROADCASTING);
            place.start(consumer);
            Place.same(Place.numbers(10), Place.next(arrived, 10));
        }
    }
}
