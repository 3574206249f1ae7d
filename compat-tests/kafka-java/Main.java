import java.util.Collection;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.TopicDescription;

/** The tests that both Java suites share, and those of the newest client. */
public final class Main extends CommonTests {
    @Override
    Map<String, TopicDescription> describe(Admin admin, Collection<String> topics) throws Exception {
        return admin.describeTopics(topics).allTopicNames().get();
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 3 && arguments[0].equals("--child")) {
            die(arguments[1], arguments[2]);
        }
        new Main().register("Main");
        NewTests.register();
        Harness.main(arguments, 5);
    }
}
