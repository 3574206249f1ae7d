import org.testcontainers.containers.GenericContainer;
import org.testcontainers.kafka.ConfluentKafkaContainer;
import org.testcontainers.kafka.KafkaContainer;
import org.testcontainers.utility.DockerImageName;

/** Starts an image with testcontainers-java, says where it answers, and stops it when the input ends. */
public class Start {
    public static void main(String[] arguments) throws Exception {
        DockerImageName image = DockerImageName.parse(arguments[1]);
        switch (arguments[0]) {
            case "apache" -> {
                KafkaContainer container = new KafkaContainer(image.asCompatibleSubstituteFor("apache/kafka-native"));
                run(container, container::getBootstrapServers);
            }
            case "confluent" -> {
                ConfluentKafkaContainer container =
                        new ConfluentKafkaContainer(image.asCompatibleSubstituteFor("confluentinc/cp-kafka"));
                run(container, container::getBootstrapServers);
            }
            default -> legacy(image.asCompatibleSubstituteFor("confluentinc/cp-kafka"), arguments[0].endsWith("kraft"));
        }
    }

    @SuppressWarnings("deprecation")
    private static void legacy(DockerImageName image, boolean kraft) throws Exception {
        org.testcontainers.containers.KafkaContainer container = new org.testcontainers.containers.KafkaContainer(image);
        run(kraft ? container.withKraft() : container, container::getBootstrapServers);
    }

    private static void run(GenericContainer<?> container, java.util.function.Supplier<String> address) throws Exception {
        container.start();
        System.out.println("bootstrap " + address.get());
        System.in.transferTo(java.io.OutputStream.nullOutputStream());
        container.stop();
    }
}
