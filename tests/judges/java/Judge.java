import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/** What the programs here share: features are registered, run one by one, and told as JSON lines. */
final class Judge {
    /** Shows one feature; it fails by an exception. */
    interface Feature {
        void show() throws Exception;
    }

    private record Named(String name, Feature feature) {}

    private final List<Named> features = new ArrayList<>();

    void feature(String name, Feature feature) {
        features.add(new Named(name, feature));
    }

    /** Tells the client's version, then runs every feature, or only those that are named. */
    void run(String version, String... only) {
        tell("{\"version\":" + quoted(version) + "}");
        var names = Arrays.asList(only);
        for (var one : features) {
            if (!names.isEmpty() && !names.contains(one.name)) {
                continue;
            }
            var told = "{\"feature\":" + quoted(one.name);
            try {
                one.feature.show();
                tell(told + ",\"ok\":true}");
            } catch (Throwable failed) {
                tell(told + ",\"ok\":false,\"detail\":" + quoted(trace(failed)) + "}");
            }
        }
    }

    /** Where the server is and who may log in, as the test tells it. */
    static String told(String name) {
        return Objects.requireNonNull(System.getenv("EMULATOR_" + name), name);
    }

    static void same(Object got, Object wanted) {
        if (!Objects.deepEquals(got, wanted)) {
            throw new AssertionError("got " + shown(got) + ", want " + shown(wanted));
        }
    }

    /** The exception of this kind that the feature must end with, with all of these words. */
    static <T extends Throwable> T raises(Class<T> kind, Feature feature, String... says) {
        try {
            feature.show();
        } catch (Throwable failed) {
            if (!kind.isInstance(failed)) {
                throw new AssertionError("another exception", failed);
            }
            for (var words : says) {
                if (!String.valueOf(failed.getMessage()).contains(words)) {
                    throw new AssertionError("does not say " + words, failed);
                }
            }
            return kind.cast(failed);
        }
        throw new AssertionError(kind.getSimpleName() + " was expected");
    }

    private static String shown(Object value) {
        return value instanceof Object[] array
                ? Arrays.deepToString(array)
                : value instanceof byte[] bytes ? Arrays.toString(bytes) : String.valueOf(value);
    }

    private static String trace(Throwable failed) {
        var text = new StringBuilder();
        for (var at = failed; at != null; at = at.getCause()) {
            text.append(at);
            Arrays.stream(at.getStackTrace()).limit(4).forEach(frame -> text.append("\n  ").append(frame));
            text.append('\n');
        }
        return text.toString();
    }

    private static void tell(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static String quoted(String text) {
        var quoted = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                quoted.append('\\').append(c);
            } else if (c < ' ' || c > '~') {
                quoted.append(String.format("\\u%04x", (int) c));
            } else {
                quoted.append(c);
            }
        }
        return quoted.append('"').toString();
    }
}
