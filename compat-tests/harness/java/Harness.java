import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;

/** The register of tests of a Java suite, their bounds, and what they assert with. Compiled into each Java suite. */
final class Harness {
    static final String BOOTSTRAP = Objects.requireNonNullElse(System.getenv("BOOTSTRAP_SERVERS"), "localhost:9092");
    /** The shortest session that Kafka's default group.min.session.timeout.ms allows. */
    static final int SESSION_MS = 6000;

    interface Body {
        void run() throws Exception;
    }

    record Test(String name, int seconds, Body body) {}

    private static final List<Test> TESTS = new ArrayList<>();
    private static final ConcurrentLinkedQueue<Process> CHILDREN = new ConcurrentLinkedQueue<>();

    static void test(String name, Body body) {
        slow(name, 30, body);
    }

    static void slow(String name, int seconds, Body body) {
        TESTS.add(new Test(name, seconds, body));
    }

    static String fresh(String label) {
        return label + "-" + UUID.randomUUID().toString().substring(0, 10);
    }

    static void eq(Object got, Object want, String what) {
        if (!Objects.deepEquals(got, want)) {
            throw new AssertionError(what + ": got " + shorten(got) + ", want " + shorten(want));
        }
    }

    static void check(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    private static String shorten(Object value) {
        String text = value instanceof Object[] array ? Arrays.deepToString(array) : String.valueOf(value);
        return text.length() < 240 ? text : text.substring(0, 200) + "…";
    }

    static void until(String what, Callable<Boolean> question) throws Exception {
        until(20, what, question);
    }

    /** Asks until the answer is true. The wait between questions is a poll, never the result. */
    static void until(int seconds, String what, Callable<Boolean> question) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (!question.call()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("after " + seconds + " s still not: " + what);
            }
            Thread.sleep(40);
        }
    }

    /** Asserts that {@code body} fails with {@code kind}, looking through the wrapping of futures. */
    static Throwable raises(Class<? extends Throwable> kind, Body body, String what) {
        try {
            body.run();
        } catch (Throwable error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                if (kind.isInstance(cause)) {
                    return cause;
                }
            }
            throw new AssertionError(what + ": raised " + error + ", want " + kind.getSimpleName());
        }
        throw new AssertionError(what + ": did not fail, want " + kind.getSimpleName());
    }

    /** This program once more in a process that can be killed; returns when it said "joined". */
    static Process child(String main, String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of(System.getProperty("java.home") + "/bin/java", "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC", "-Xmx96m", "-cp", System.getProperty("java.class.path"), main, "--child"));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        CHILDREN.add(process);
        int said = process.getInputStream().read();
        check(said == 'j', "the other member ended");
        return process;
    }

    private static String reason(Throwable error) {
        Throwable shown = error instanceof ExecutionException && error.getCause() != null ? error.getCause() : error;
        String where = Arrays.stream(shown.getStackTrace())
            .filter(frame -> frame.getFileName() != null && frame.getFileName().endsWith("Tests.java")).findFirst()
            .map(frame -> " (" + frame.getFileName() + ":" + frame.getLineNumber() + ")").orElse("");
        String text = (shown instanceof AssertionError ? "" : shown.getClass().getSimpleName() + ": ") + shown.getMessage();
        text = text.replaceAll("\\s+", " ");
        return text.substring(0, Math.min(text.length(), 320)) + where;
    }

    static void main(String[] arguments, int workers) throws Exception {
        if (arguments.length == 1 && arguments[0].equals("--list")) {
            TESTS.forEach(test -> System.out.println(test.name()));
            return;
        }
        List<Test> chosen = new ArrayList<>(TESTS.stream()
            .filter(test -> arguments.length == 0 || Arrays.stream(arguments).anyMatch(test.name()::contains)).toList());
        chosen.sort(Comparator.comparing(test -> -test.seconds()));
        ExecutorService threads = Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        });
        Semaphore slots = new Semaphore(workers);
        AtomicBoolean failed = new AtomicBoolean();
        for (Test test : chosen) {
            slots.acquire();
            threads.submit(() -> {
                long begun = System.nanoTime();
                Future<?> running = threads.submit(() -> {
                    test.body().run();
                    return null;
                });
                String result = null;
                try {
                    running.get(test.seconds(), TimeUnit.SECONDS);
                } catch (TimeoutException late) {
                    running.cancel(true);
                    result = "timed out after " + test.seconds() + " s";
                } catch (Throwable error) {
                    Throwable cause = error.getCause() == null ? error : error.getCause();
                    if (System.getenv("COMPAT_TRACE") != null) {
                        cause.printStackTrace();
                    }
                    result = reason(cause);
                }
                synchronized (TESTS) {
                    if (result != null) {
                        failed.set(true);
                    }
                    System.out.println(result == null ? "ok " + test.name() : "not ok " + test.name() + ": " + result);
                    if (System.getenv("COMPAT_TIMES") != null) {
                        System.out.printf("# %s took %.1f s%n", test.name(), (System.nanoTime() - begun) / 1e9);
                    }
                }
                slots.release();
            });
        }
        slots.acquire(workers);
        CHILDREN.forEach(Process::destroyForcibly);
        System.out.flush();
        // Not a return: a client thread that hangs must not keep the process.
        Runtime.getRuntime().halt(failed.get() ? 1 : 0);
    }

    private Harness() {}
}
