import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Lite pull: subscribed, assigned, with seeks and commits. */
final class LitePulls {
    private LitePulls() {
    }

    static void add(Map<String, JavaClient.Scenario> all) {
        all.put("lite-pull-subscribe", LitePulls::subscribe);
        all.put("lite-pull-assign-and-seek", LitePulls::assign);
        all.put("lite-pull-commit-and-resume", LitePulls::resume);
    }

    /** Polls until this many messages came. */
    private static List<MessageExt> poll(DefaultLitePullConsumer consumer, int count) {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(Place.DEADLINE_SECONDS);
        List<MessageExt> arrived = new ArrayList<>();
        while (arrived.size() < count) {
            Place.check(System.nanoTime() < deadline, "only " + arrived.size() + " of " + count + " messages came");
            arrived.addAll(consumer.poll(1_000));
        }
        return arrived;
    }

    private static Set<String> bodies(List<MessageExt> messages) {
        Set<String> bodies = new HashSet<>();
        messages.forEach(message -> bodies.add(Place.text(message)));
        Place.same(messages.size(), bodies.size());
        return bodies;
    }

    private static void subscribe(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        place.send(producer, 10);
        producer.send(new Message(place.topic, "other", "x".getBytes()));
        producer.send(new Message(place.topic, "wanted", "10".getBytes()));
        DefaultLitePullConsumer all = place.litePull();
        all.subscribe(place.topic, "*");
        place.start(all);
        Place.same(12, bodies(poll(all, 12)).size());
        DefaultLitePullConsumer tagged = place.litePull("-tagged");
        tagged.subscribe(place.topic, "wanted");
        place.start(tagged);
        Place.same(Set.of("10"), bodies(poll(tagged, 1)));
    }

    private static void assign(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        for (int n = 0; n < 10; n++) {
            producer.send(place.message(Integer.toString(n)), (queues, message, argument) -> queues.get(1), null);
        }
        DefaultLitePullConsumer consumer = place.litePull();
        place.start(consumer);
        Collection<MessageQueue> queues = consumer.fetchMessageQueues(place.topic);
        Place.same(4, queues.size());
        consumer.assign(queues);
        Place.same(Place.numbers(10), bodies(poll(consumer, 10)));
        MessageQueue queue = queues.stream().filter(one -> one.getQueueId() == 1).findFirst().orElseThrow();
        consumer.seek(queue, 7);
        List<MessageExt> again = poll(consumer, 3);
        Place.same(Set.of("7", "8", "9"), bodies(again));
        Place.same(7L, again.get(0).getQueueOffset());
        consumer.seekToBegin(queue);
        Place.same("0", Place.text(poll(consumer, 10).get(0)));
        Place.same(0L, consumer.offsetForTimestamp(queue, 1_000L));
    }

    private static void resume(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        place.send(producer, 8);
        DefaultLitePullConsumer first = place.litePull();
        first.setAutoCommit(false);
        first.subscribe(place.topic, "*");
        place.start(first);
        Place.same(Place.numbers(8), bodies(poll(first, 8)));
        first.commit();
        first.shutdown();
        producer.send(place.message("new"));
        DefaultLitePullConsumer second = place.litePull();
        second.subscribe(place.topic, "*");
        place.start(second);
        Place.same("new", Place.text(poll(second, 1).get(0)));
    }
}
