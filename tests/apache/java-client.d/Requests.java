import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.RequestTimeoutException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Request and reply. */
final class Requests {
    private Requests() {
    }

    static void add(Map<String, JavaClient.Scenario> all) {
        all.put("request-reply", Requests::reply);
        all.put("request-without-reply", Requests::silence);
    }

    private static void reply(Place place) throws Exception {
        DefaultMQProducer requester = place.producer();
        DefaultMQProducer replier = place.producer();
        // The requester has to be known to the broker before it is replied to.
        requester.send(place.message("hello"));
        DefaultMQPushConsumer responder = place.consumer();
        responder.subscribe(place.topic, "*");
        responder.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                try {
                    if (message.getProperty("REPLY_TO_CLIENT") != null) {
                        byte[] body = ("re: " + Place.text(message)).getBytes();
                        replier.send(MessageUtil.createReplyMessage(message, body));
                    }
                } catch (Exception error) {
                    error.printStackTrace();
                    return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        place.start(responder);
        Message answer = requester.request(place.message("one"), Place.DEADLINE_SECONDS * 1_000);
        Place.same("re: one", Place.text(answer));
        CompletableFuture<Message> later = new CompletableFuture<>();
        // Without a selector Java's client calls back, with null, as soon as the request is sent.
        requester.request(place.message("two"), (queues, message, wanted) -> queues.get(0), null, new RequestCallback() {
            @Override
            public void onSuccess(Message message) {
                later.complete(message);
            }

            @Override
            public void onException(Throwable error) {
                later.completeExceptionally(error);
            }
        }, Place.DEADLINE_SECONDS * 1_000);
        Place.same("re: two", Place.text(Place.get(later)));
    }

    private static void silence(Place place) throws Exception {
        DefaultMQProducer requester = place.producer();
        try {
            requester.request(place.message("anybody?"), 2_000);
            throw new AssertionError("there was a reply from nobody");
        } catch (RequestTimeoutException expected) {
            Place.same("anybody?", Place.text(Place.next(place.consumeAll("*"))));
        }
    }
}
