import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.security.Permission;
import java.util.Arrays;
import java.util.Base64;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Runs Kafka's command line tools one after the other in one JVM, since starting one for each costs seconds.
 * A line of standard input is: class, standard input in base64, arguments; with tabs between. The answer is a line with the
 * exit status and what the tool wrote on standard output in base64. A tool that ends the process is caught where it asks to.
 */
public class RunTools {
    static volatile CompletableFuture<Integer> status = new CompletableFuture<>();
    static volatile boolean over = false;

    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        System.setSecurityManager(new SecurityManager() {
            @Override public void checkPermission(Permission permission) { }
            @Override public void checkPermission(Permission permission, Object context) { }
            @Override public void checkExit(int code) { end(code); }
        });
        org.apache.kafka.common.utils.Exit.setExitProcedure((code, message) -> end(code));
        org.apache.kafka.common.utils.Exit.setHaltProcedure((code, message) -> end(code));
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            String[] fields = line.split("\t", -1);
            ByteArrayOutputStream said = new ByteArrayOutputStream();
            int code = run(fields[0], Base64.getDecoder().decode(fields[1]), Arrays.copyOfRange(fields, 2, fields.length), said);
            out.println(code + "\t" + Base64.getEncoder().encodeToString(said.toByteArray()));
            out.flush();
        }
        over = true;
        Runtime.getRuntime().halt(0);
    }

    static int run(String name, byte[] input, String[] arguments, ByteArrayOutputStream said) throws Exception {
        CompletableFuture<Integer> mine = new CompletableFuture<>();
        status = mine;
        System.setOut(new PrintStream(said, true, StandardCharsets.UTF_8));
        System.setIn(new ByteArrayInputStream(input));
        Thread tool = new Thread(() -> {
            try {
                Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) arguments);
                mine.complete(0);
            } catch (InvocationTargetException error) {
                error.getCause().printStackTrace();
                mine.complete(1);
            } catch (Throwable error) {
                error.printStackTrace();
                mine.complete(99);
            }
        });
        tool.setDaemon(true);
        tool.start();
        try {
            return mine.get(60, TimeUnit.SECONDS);
        } catch (TimeoutException late) {
            return 124;
        }
    }

    /** The status is known; the thread that asked must not go on. */
    static void end(int code) {
        if (over) return;
        status.complete(code);
        try {
            Thread.sleep(Long.MAX_VALUE);
        } catch (InterruptedException ignored) {
            throw new IllegalStateException("ended");
        }
    }
}
