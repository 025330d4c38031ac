import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Transactions, decided at once and by check-back. */
final class Transactions {
    private Transactions() {
    }

    static void add(Map<String, JavaClient.Scenario> all) {
        all.put("transaction-check-back", Transactions::checkBack);
        all.put("transaction-commit-and-rollback", Transactions::decided);
    }

    /** Decides by the body; a question is noted and answered with a commit, for "never" with a rollback. */
    private static final class Listener implements TransactionListener {
        final BlockingQueue<MessageExt> asked = new LinkedBlockingQueue<>();

        @Override
        public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
            switch (Place.text(message)) {
                case "commit":
                    return LocalTransactionState.COMMIT_MESSAGE;
                case "rollback":
                    return LocalTransactionState.ROLLBACK_MESSAGE;
                default:
                    return LocalTransactionState.UNKNOW;
            }
        }

        @Override
        public LocalTransactionState checkLocalTransaction(MessageExt message) {
            asked.add(message);
            return Place.text(message).equals("never")
                ? LocalTransactionState.ROLLBACK_MESSAGE : LocalTransactionState.COMMIT_MESSAGE;
        }
    }

    private static void decided(Place place) throws Exception {
        TransactionMQProducer producer = place.transactional(new Listener());
        TransactionSendResult rolledBack = producer.sendMessageInTransaction(place.message("rollback"), null);
        Place.same(LocalTransactionState.ROLLBACK_MESSAGE, rolledBack.getLocalTransactionState());
        producer.sendMessageInTransaction(place.message("commit"), null);
        BlockingQueue<MessageExt> arrived = place.consumeAll("*");
        MessageExt committed = Place.next(arrived);
        Place.same("commit", Place.text(committed));
        Place.same(producer.getProducerGroup(), committed.getProperty("PGROUP"));
        // What was rolled back was sent first: had it been delivered, it would be here.
        Place.check(arrived.poll(1, TimeUnit.SECONDS) == null, "a message that was rolled back came");
    }

    private static void checkBack(Place place) throws Exception {
        Listener listener = new Listener();
        TransactionMQProducer producer = place.transactional(listener);
        producer.sendMessageInTransaction(place.message("never"), null);
        producer.sendMessageInTransaction(place.message("open"), null);
        BlockingQueue<MessageExt> arrived = place.consumeAll("*");
        Place.same(Set.of("never", "open"), Place.next(listener.asked, 2));
        MessageExt committed = Place.next(arrived);
        Place.same("open", Place.text(committed));
        Place.same("1", committed.getProperty("TRANSACTION_CHECK_TIMES"));
    }
}
