import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * Lets Kafka's own classes write every kind of stored record in every version, for tests/golden/records.tsv:
 *
 * <pre>java -cp 'KAFKA/libs/*' scripts/RecordVectors.java CLASS... > tests/golden/records.tsv</pre>
 *
 * with the full names of the generated classes. Fields get values from a fixed seed; one that a version lacks has to be
 * left at its default, so each version is tried with other choices until it can be written.
 */
public class RecordVectors {
    private static final Random RANDOM = new Random(4301);

    public static void main(String[] names) throws Exception {
        System.out.println("# record\tversion\tbody (hex), as written by Apache Kafka 4.3.1");
        Arrays.sort(names, Comparator.comparing(RecordVectors::last));
        for (String name : names) {
            Message empty = (Message) Class.forName(name).getDeclaredConstructor().newInstance();
            for (short version = empty.lowestSupportedVersion(); version <= empty.highestSupportedVersion(); version++) {
                TreeSet<String> seen = new TreeSet<>();
                for (int attempt = 0; attempt < 3000 && seen.size() < 4; attempt++) {
                    Message message = (Message) Class.forName(name).getDeclaredConstructor().newInstance();
                    if (attempt > 0) fill(message, attempt % 3 == 0 ? 2 : 8);
                    String body = body(message, version);
                    if (body != null && seen.add(body)) System.out.println(last(name) + "\t" + version + "\t" + body);
                }
            }
        }
    }

    private static String last(String name) {
        return name.substring(name.lastIndexOf('.') + 1);
    }

    private static String body(Message message, short version) {
        try {
            ObjectSerializationCache cache = new ObjectSerializationCache();
            ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
            message.write(new ByteBufferAccessor(buffer), cache, version);
            StringBuilder hex = new StringBuilder();
            for (byte b : buffer.array()) hex.append(String.format("%02x", b));
            return hex.toString();
        } catch (RuntimeException notInThisVersion) {
            return null;
        }
    }

    /** Sets all fields but about one in `spare`. */
    private static void fill(Object target, int spare) throws Exception {
        Method[] methods = target.getClass().getDeclaredMethods();
        Arrays.sort(methods, Comparator.comparing(Method::getName));
        for (Method method : methods) {
            if (method.getName().startsWith("set") && method.getParameterCount() == 1 && RANDOM.nextInt(spare) > 0) {
                method.invoke(target, value(method.getParameterTypes()[0], method.getGenericParameterTypes()[0], spare));
            }
        }
    }

    private static Object value(Class<?> type, Type generic, int spare) throws Exception {
        if (type == boolean.class) return RANDOM.nextBoolean();
        if (type == byte.class || type == Byte.class) return (byte) RANDOM.nextInt(100);
        if (type == short.class || type == Short.class) return (short) (1 + RANDOM.nextInt(30000));
        if (type == int.class || type == Integer.class) return 1 + RANDOM.nextInt(60000);
        if (type == long.class || type == Long.class) return RANDOM.nextLong() >>> 2;
        if (type == double.class) return RANDOM.nextInt(1000) / 8.0;
        if (type == Uuid.class) return new Uuid(RANDOM.nextLong(), RANDOM.nextLong());
        if (!type.isPrimitive() && RANDOM.nextInt(6) == 0) return null;
        if (type == String.class) return "wört-" + Long.toString(RANDOM.nextInt(Integer.MAX_VALUE), 36);
        if (type == byte[].class) {
            byte[] bytes = new byte[RANDOM.nextInt(9)];
            RANDOM.nextBytes(bytes);
            return bytes;
        }
        if (type == ByteBuffer.class) return ByteBuffer.wrap(new byte[] {0, 1, (byte) RANDOM.nextInt(200)});
        if (type == List.class) {
            Type element = ((ParameterizedType) generic).getActualTypeArguments()[0];
            List<Object> list = new ArrayList<>();
            for (int i = RANDOM.nextInt(4); i > 0; i--) {
                Object one = value((Class<?>) element, element, spare);
                if (one != null) list.add(one);
            }
            return list;
        }
        if (java.util.Collection.class.isAssignableFrom(type)) {
            Type element = ((ParameterizedType) type.getGenericSuperclass()).getActualTypeArguments()[0];
            @SuppressWarnings("unchecked")
            java.util.Collection<Object> collection =
                (java.util.Collection<Object>) type.getDeclaredConstructor().newInstance();
            for (int i = RANDOM.nextInt(4); i > 0; i--) {
                Object one = value((Class<?>) element, element, 100);
                if (one != null) collection.add(one);
            }
            return collection;
        }
        Object struct = type.getDeclaredConstructor().newInstance();
        fill(struct, spare);
        return struct;
    }
}
