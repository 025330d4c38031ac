import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Producers: kinds of sends, batches, delays, errors, queries. */
final class Sends {
    private Sends() {
    }

    static void add(Map<String, JavaClient.Scenario> all) {
        all.put("send-sync-async-oneway", Sends::kinds);
        all.put("send-batch", Sends::batch);
        all.put("send-compressed", Sends::compressed);
        all.put("send-selected-queue", Sends::selectedQueue);
        all.put("send-too-large", Sends::tooLarge);
        all.put("send-delay-level", Sends::delayLevel);
        all.put("send-timer", Sends::timer);
        all.put("send-recall-is-off", Sends::recallIsOff);
        all.put("query-by-key-and-id", Sends::query);
    }

    private static void kinds(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        SendResult sync = producer.send(place.message("0"));
        Place.same(SendStatus.SEND_OK, sync.getSendStatus());
        Place.same(4, producer.fetchPublishMessageQueues(place.topic).size());
        CompletableFuture<SendResult> async = new CompletableFuture<>();
        producer.send(place.message("1"), new SendCallback() {
            @Override
            public void onSuccess(SendResult result) {
                async.complete(result);
            }

            @Override
            public void onException(Throwable error) {
                async.completeExceptionally(error);
            }
        });
        Place.same(SendStatus.SEND_OK, Place.get(async).getSendStatus());
        producer.sendOneway(place.message("2"));
        Place.same(Place.numbers(3), Place.next(place.consumeAll("*"), 3));
    }

    private static void batch(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        List<Message> messages = new ArrayList<>();
        for (int n = 0; n < 20; n++) {
            messages.add(new Message(place.topic, "tag", "key" + n, Integer.toString(n).getBytes()));
        }
        SendResult result = producer.send(messages);
        Place.same(SendStatus.SEND_OK, result.getSendStatus());
        Place.same(20, result.getOffsetMsgId().split(",").length);
        BlockingQueue<MessageExt> arrived = place.consumeAll("tag");
        List<Long> offsets = new ArrayList<>();
        for (int n = 0; n < 20; n++) {
            MessageExt message = Place.next(arrived);
            Place.same(result.getMessageQueue().getQueueId(), message.getQueueId());
            Place.same("key" + Place.text(message), message.getKeys());
            offsets.add(message.getQueueOffset());
        }
        Place.same(20L, offsets.stream().distinct().count());
    }

    private static void compressed(Place place) throws Exception {
        String body = "compress me ".repeat(2_000);
        place.producer().send(place.message(body));
        Place.same(body, Place.text(Place.next(place.consumeAll("*"))));
    }

    private static void selectedQueue(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        for (int n = 0; n < 8; n++) {
            SendResult result = producer.send(place.message(Integer.toString(n)),
                (queues, message, wanted) -> queues.get((Integer) wanted % queues.size()), n);
            Place.same(n % 4, result.getMessageQueue().getQueueId());
            Place.same((long) n / 4, result.getQueueOffset());
        }
    }

    private static void tooLarge(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        producer.setMaxMessageSize(8 << 20);
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        producer.send(place.message("small"));
        try {
            producer.send(new Message(place.topic, new byte[(4 << 20) + 1]));
            throw new AssertionError("a message above 4 MiB was taken");
        } catch (MQBrokerException refused) {
            Place.same(13, refused.getResponseCode());
        }
    }

    private static void delayLevel(Place place) throws Exception {
        Message message = place.message("later");
        message.setDelayTimeLevel(1);
        place.producer().send(message);
        MessageExt arrived = Place.next(place.consumeAll("*"));
        long waited = arrived.getStoreTimestamp() - arrived.getBornTimestamp();
        Place.check(waited >= 900, "level 1 took " + waited + " ms");
        Place.same("later", Place.text(arrived));
    }

    private static void timer(Place place) throws Exception {
        Message message = place.message("later");
        message.setDelayTimeMs(2_500);
        SendResult result = place.producer().send(message);
        Place.check(result.getRecallHandle() != null, "a timer message has no recall handle");
        MessageExt arrived = Place.next(place.consumeAll("*"));
        long waited = arrived.getStoreTimestamp() - arrived.getBornTimestamp();
        // The wheel turns by whole seconds, and is never early with respect to them.
        Place.check(waited >= 1_500, "a delay of 2500 ms took " + waited + " ms");
        Place.check(arrived.getProperty("TIMER_OUT_MS") != null, "it did not come from the wheel");
    }

    private static void recallIsOff(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        Message message = place.message("later");
        message.setDelayTimeSec(30);
        String handle = producer.send(message).getRecallHandle();
        try {
            producer.recallMessage(place.topic, handle);
            throw new AssertionError("a recall is off by default");
        } catch (MQBrokerException refused) {
            Place.same(16, refused.getResponseCode());
        }
    }

    private static void query(Place place) throws Exception {
        DefaultMQProducer producer = place.producer();
        long begin = System.currentTimeMillis() - 60_000;
        SendResult sent = producer.send(new Message(place.topic, "tag", "the-key", "body".getBytes()));
        // The index may be a moment behind: the consumer has the message when it was dispatched.
        Place.next(place.consumeAll("*"));
        MessageExt byId = place.admin().viewMessage(place.topic, sent.getOffsetMsgId());
        Place.same("body", Place.text(byId));
        MessageQueue queue = sent.getMessageQueue();
        Place.same(1L, producer.maxOffset(queue));
        Place.same(0L, producer.minOffset(queue));
        Place.same(0L, producer.searchOffset(queue, begin));
        QueryResult found = producer.queryMessage(place.topic, "the-key", 8, begin, System.currentTimeMillis() + 60_000);
        Place.same(1, found.getMessageList().size());
        Place.same(sent.getMsgId(), found.getMessageList().get(0).getMsgId());
    }
}
