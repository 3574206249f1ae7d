import java.util.Collection;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.TopicDescription;

/** The tests that both Java suites share, with the client of 2.8. */
public final class Main extends CommonTests {
    @Override
    Map<String, TopicDescription> describe(Admin admin, Collection<String> topics) throws Exception {
        return admin.describeTopics(topics).all().get();
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 3 && arguments[0].equals("--child")) {
            die(arguments[1], arguments[2]);
        }
        new Main().register("Main");
        Harness.main(arguments, 5);
    }
}
