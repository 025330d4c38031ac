import java.io.FileOutputStream;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Runs scenarios of Java's client, a few at a time: NAME-SERVER LOG-FILE [PART-OF-A-NAME...]. */
public final class JavaClient {
    private static final int AT_A_TIME = 6;

    interface Scenario {
        void run(Place place) throws Exception;
    }

    private JavaClient() {
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream results = System.out;
        // The client's logging writes to standard output as well.
        PrintStream log = new PrintStream(new FileOutputStream(arguments[1], true), true);
        System.setOut(log);
        Map<String, Scenario> all = new LinkedHashMap<>();
        // The longest first: the transaction check of a broker comes each half minute.
        Transactions.add(all);
        Pops.add(all);
        Pushes.add(all);
        Sends.add(all);
        Requests.add(all);
        LitePulls.add(all);
        Admins.add(all);
        List<String> wanted = List.of(arguments).subList(2, arguments.length);
        all.keySet().removeIf(name -> !wanted.isEmpty() && wanted.stream().noneMatch(name::contains));

        ExecutorService threads = Executors.newFixedThreadPool(AT_A_TIME);
        Map<String, Future<?>> running = new LinkedHashMap<>();
        all.forEach((name, scenario) -> running.put(name, threads.submit(() -> {
            try (Place place = new Place(arguments[0], name)) {
                scenario.run(place);
            }
            return null;
        })));
        List<String> failed = new ArrayList<>();
        for (Map.Entry<String, Future<?>> scenario : running.entrySet()) {
            try {
                scenario.getValue().get();
                results.println("ok " + scenario.getKey());
            } catch (java.util.concurrent.ExecutionException error) {
                failed.add(scenario.getKey());
                String why = String.valueOf(error.getCause()).lines().findFirst().orElse("");
                results.println("FAIL " + scenario.getKey() + ": " + why);
                error.getCause().printStackTrace(log);
            }
        }
        results.println(running.size() + " scenarios, " + failed.size() + " failed");
        results.flush();
        // Clients leave threads behind that are no daemons.
        System.exit(failed.isEmpty() && !running.isEmpty() ? 0 : 1);
    }
}
