import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.kafka.metadata.properties.MetaProperties;
import org.apache.kafka.metadata.properties.PropertiesUtils;
import org.apache.kafka.raft.FileQuorumStateStore;
import org.apache.kafka.storage.internals.checkpoint.CleanShutdownFileHandler;
import org.apache.kafka.storage.internals.checkpoint.LeaderEpochCheckpointFile;
import org.apache.kafka.storage.internals.checkpoint.OffsetCheckpointFile;
import org.apache.kafka.storage.internals.checkpoint.PartitionMetadataFile;
import org.apache.kafka.storage.internals.log.LogDirFailureChannel;

/**
 * Reads the small files of a data directory, which DumpLogSegments does not know, with the classes that Kafka's broker reads
 * them with. One line for each fact: the path below the directory, a tab, what stands there; a file that Kafka refuses ends
 * its line with the exception.
 */
public class ReadFiles {
    public static void main(String[] arguments) throws Exception {
        Path root = Path.of(arguments[0]);
        try (Stream<Path> files = Files.walk(root)) {
            for (Path path : files.filter(Files::isRegularFile).sorted().toList()) {
                String name = root.relativize(path).toString();
                try {
                    read(name, path.toFile());
                } catch (Throwable refused) {
                    System.out.println(name + "\trefused: " + refused);
                }
            }
        }
    }

    static void read(String name, File file) throws Exception {
        LogDirFailureChannel failures = new LogDirFailureChannel(10);
        switch (file.getName()) {
            case "leader-epoch-checkpoint" -> new LeaderEpochCheckpointFile(file, failures).read()
                    .forEach(entry -> System.out.println(name + "\t" + entry.epoch() + " " + entry.startOffset()));
            case "partition.metadata" -> {
                var metadata = new PartitionMetadataFile(file, failures).read();
                System.out.println(name + "\t" + metadata.version() + " " + metadata.topicId());
            }
            case "meta.properties" -> {
                MetaProperties meta = new MetaProperties.Builder(PropertiesUtils.readPropertiesFile(file.getPath())).build();
                System.out.println(name + "\t" + meta.version().number() + " " + meta.clusterId().orElse("none") + " "
                        + meta.nodeId().orElse(-1) + " " + meta.directoryId().map(Object::toString).orElse("none"));
            }
            case ".kafka_cleanshutdown" -> {
                new CleanShutdownFileHandler(file.getParent()).read();
                System.out.println(name + "\tclean");
            }
            case "quorum-state" -> {
                Optional<?> state = new FileQuorumStateStore(file).readElectionState();
                System.out.println(name + "\t" + state.map(Object::toString).orElse("none"));
            }
            default -> {
                if (file.getName().endsWith("-offset-checkpoint")) {
                    System.out.println(name + "\tread");
                    new OffsetCheckpointFile(file, failures).read()
                            .forEach((partition, offset) -> System.out.println(name + "\t" + partition + " " + offset));
                }
            }
        }
    }
}
