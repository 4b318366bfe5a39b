/*
 * Starts DynamoDB Local on 127.0.0.1. Its own main class listens on all interfaces and has no option for that, so this
 * one makes the same server and gives its connector a host before it starts. Java compiles it as it runs it.
 */
import java.lang.reflect.Field;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import software.amazon.dynamodb.services.local.main.ServerRunner;
import software.amazon.dynamodb.services.local.server.DynamoDBProxyServer;

public class LoopbackServer {
  public static void main(String[] args) throws Exception {
    try {
      DynamoDBProxyServer proxy = ServerRunner.createServerFromCommandLineArgs(args);
      Field field = DynamoDBProxyServer.class.getDeclaredField("server");
      field.setAccessible(true);
      for (Connector connector : ((Server) field.get(proxy)).getConnectors()) {
        ((ServerConnector) connector).setHost("127.0.0.1");
      }
      proxy.safeStart();
      System.out.println("listening on 127.0.0.1");
      proxy.join();
    } catch (Exception failure) {
      failure.printStackTrace();
      System.exit(1);
    }
  }
}
