import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** One scenario's topic and group, and the clients it started, which are shut down at its end. */
final class Place implements AutoCloseable {
    static final long DEADLINE_SECONDS = 90;
    private static final AtomicInteger INSTANCES = new AtomicInteger();

    final String topic;
    final String group;
    private final String nameServer;
    private final Deque<Runnable> shutdowns = new ArrayDeque<>();

    Place(String nameServer, String scenario) {
        this.nameServer = nameServer;
        // A broker may have seen an earlier run.
        String run = Long.toString(System.currentTimeMillis(), 36);
        this.topic = "Java-" + scenario + "-" + run;
        this.group = "java-" + scenario + "-" + run;
    }

    private Place(Place other, String topic) {
        this.nameServer = other.nameServer;
        this.topic = topic;
        this.group = other.group + "-else";
    }

    /** Another topic with another group; ends with this place. */
    Place elsewhere(String other) {
        Place place = new Place(this, other);
        shutdowns.push(place::close);
        return place;
    }

    /** A client of its own each: shared ones would hide what belongs to one connection. */
    private static String instance() {
        return "i" + INSTANCES.incrementAndGet();
    }

    private <P extends DefaultMQProducer> P started(P producer) throws Exception {
        producer.setNamesrvAddr(nameServer);
        producer.setInstanceName(instance());
        producer.setSendMsgTimeout(10_000);
        producer.start();
        shutdowns.push(producer::shutdown);
        return producer;
    }

    DefaultMQProducer producer() throws Exception {
        return started(new DefaultMQProducer(group + "-p"));
    }

    TransactionMQProducer transactional(TransactionListener listener) throws Exception {
        TransactionMQProducer producer = new TransactionMQProducer(group + "-p");
        producer.setTransactionListener(listener);
        return started(producer);
    }

    /** A consumer that begins at the first message and isn't started yet. */
    DefaultMQPushConsumer consumer() throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(nameServer);
        consumer.setInstanceName(instance());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        // Retry topics come into being while a consumer runs; the default looks each 30 s.
        consumer.setPollNameServerInterval(1_000);
        consumer.setPersistConsumerOffsetInterval(1_000);
        return consumer;
    }

    void start(DefaultMQPushConsumer consumer) throws Exception {
        consumer.start();
        shutdowns.push(consumer::shutdown);
    }

    DefaultLitePullConsumer litePull() {
        return litePull("");
    }

    /** A consumer of a group of its own. */
    DefaultLitePullConsumer litePull(String suffix) {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(group + suffix);
        consumer.setNamesrvAddr(nameServer);
        consumer.setInstanceName(instance());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        return consumer;
    }

    void start(DefaultLitePullConsumer consumer) throws Exception {
        consumer.start();
        shutdowns.push(consumer::shutdown);
    }

    DefaultMQAdminExt admin() throws Exception {
        DefaultMQAdminExt admin = new DefaultMQAdminExt(10_000);
        admin.setNamesrvAddr(nameServer);
        admin.setInstanceName(instance());
        admin.start();
        shutdowns.push(admin::shutdown);
        return admin;
    }

    /** A consumer that takes everything and hands it over. */
    BlockingQueue<MessageExt> consumeAll(String tags) throws Exception {
        BlockingQueue<MessageExt> arrived = new LinkedBlockingQueue<>();
        DefaultMQPushConsumer consumer = consumer();
        consumer.subscribe(topic, tags);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            arrived.addAll(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        start(consumer);
        return arrived;
    }

    Message message(String body) {
        return new Message(topic, body.getBytes());
    }

    /** Sends bodies 0 to count - 1. */
    void send(DefaultMQProducer producer, int count) throws Exception {
        for (int n = 0; n < count; n++) {
            producer.send(message(Integer.toString(n)));
        }
    }

    static String text(Message message) {
        return new String(message.getBody());
    }

    /** The next message, or an error when the deadline passes. */
    static MessageExt next(BlockingQueue<MessageExt> arrived) throws Exception {
        MessageExt message = arrived.poll(DEADLINE_SECONDS, TimeUnit.SECONDS);
        check(message != null, "no message within " + DEADLINE_SECONDS + " s");
        return message;
    }

    /** The bodies of the next messages. */
    static Set<String> next(BlockingQueue<MessageExt> arrived, int count) throws Exception {
        Set<String> bodies = new HashSet<>();
        for (int n = 0; n < count; n++) {
            String body = text(next(arrived));
            check(bodies.add(body), "message " + body + " came twice");
        }
        return bodies;
    }

    static Set<String> numbers(int count) {
        Set<String> bodies = new HashSet<>();
        for (int n = 0; n < count; n++) {
            bodies.add(Integer.toString(n));
        }
        return bodies;
    }

    static void await(CountDownLatch latch, String what) throws Exception {
        check(latch.await(DEADLINE_SECONDS, TimeUnit.SECONDS), what + ": not within " + DEADLINE_SECONDS + " s");
    }

    static <T> T get(Future<T> future) throws Exception {
        return future.get(DEADLINE_SECONDS, TimeUnit.SECONDS);
    }

    static void check(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }

    static void same(Object expected, Object found) {
        check(expected.equals(found), "expected " + expected + ", found " + found);
    }

    @Override
    public void close() {
        List<RuntimeException> failed = new ArrayList<>();
        while (!shutdowns.isEmpty()) {
            try {
                shutdowns.pop().run();
            } catch (RuntimeException error) {
                failed.add(error);
            }
        }
        if (!failed.isEmpty()) {
            throw failed.get(0);
        }
    }
}
