import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

import org.opensearch.Version;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.PluginInfo;
import org.opensearch.transport.Netty4ModulePlugin;

/** Runs one OpenSearch node until SIGTERM. Argument: its home (config/, data/). Its only module is the transport. */
public class OsNode extends Node {

    private OsNode(Environment environment) {
        super(environment, List.of(transport()), false);
    }

    private static PluginInfo transport() {
        String name = Netty4ModulePlugin.class.getName();
        return new PluginInfo(name, "from the class path", "1", Version.CURRENT, "21", name, null, List.of(), false);
    }

    public static void main(String[] args) throws Exception {
        Path home = Path.of(args[0]).toAbsolutePath();
        LogConfigurator.registerErrorListener();
        Settings given = Settings.builder().put("path.home", home.toString()).build();
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
            given, Map.of(), home.resolve("config"), () -> "test-node");
        LogConfigurator.configure(environment);
        OsNode node = new OsNode(environment);
        CountDownLatch done = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception e) {
                e.printStackTrace();
            } finally {
                done.countDown();
            }
        }));
        node.start();
        done.await();
    }
}
